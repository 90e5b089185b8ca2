"""One gate: .ci/run, the workflow and the hook for commits run the same command."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHECKS = ("ruff format", "ruff check", "mypy", "protos/generate.py --check")


def loaded(path: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))
    return content


def recipe(*call: str) -> str:
    """What ``make`` would run, continued lines joined."""
    # These tests may run below a `make` of their own.
    environ = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MFLAGS"}}
    planned = subprocess.run(
        ["make", "--dry-run", *call],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return re.sub(r"\\\n\s*", "", planned.stdout)


def test_ci_runs_the_test_command_and_nothing_else() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == [
        "set -euo pipefail",
        'cd "$(dirname "${BASH_SOURCE[0]}")/.."',
        "exec make test",
    ]


def test_the_workflow_runs_the_test_command_on_both_pythons() -> None:
    jobs = loaded(".github/workflows/test.yml")["jobs"].values()
    runs = [step["run"] for job in jobs for step in job["steps"] if "run" in step]
    assert runs == ["make test PYTHON=python3.11", "make test PYTHON=python3.12 ARGS=tests/unit"]
    assert all(job["timeout-minutes"] <= 120 for job in jobs)


def test_a_commit_runs_the_part_that_takes_seconds() -> None:
    (repository,) = loaded(".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    assert [hook["entry"] for hook in repository["hooks"]] == ["make lint"]
    assert not any(hook["pass_filenames"] for hook in repository["hooks"])


@pytest.mark.parametrize("target", ["test", "lint", "check"])
def test_the_checks_come_first(target: str) -> None:
    planned = recipe(target)
    places = [planned.find(check) for check in CHECKS]
    assert places == sorted(places)
    assert places[0] > 0
    assert ("-m pytest" in planned) == (target != "lint")
    assert "-m pytest" not in planned[: places[-1]]


def test_arguments_reach_pytest() -> None:
    assert '-m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder -k "one or two"' in recipe(
        "test", 'ARGS=-k "one or two"'
    )
