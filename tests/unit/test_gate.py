"""One gate: .ci/run, the workflow and the hook for commits run the same command."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
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


def installed_with(path: str, *call: str) -> subprocess.CompletedProcess[str]:
    """``make install`` with another PATH."""
    return subprocess.run(
        [str(shutil.which("make")), "install", *call],
        cwd=ROOT,
        env={"PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder for PATH with what the Makefile needs but Python."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("bash", "basename"):
        (folder / name).symlink_to(str(shutil.which(name)))
    return folder


def stand_in(path: Path, version: str) -> None:
    """A program at ``path`` that compares the version it is asked about as a Python of ``version`` would."""
    major, minor = version.split(".")
    path.write_text(
        f"#!{sys.executable}\n"
        "import sys\n"
        f"sys.version_info = ({major}, {minor}, 0)\n"
        "if 'ensurepip' in sys.argv[2]: sys.exit(1)\n"
        "exec(sys.argv[2])\n"
    )
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("there", "used"),
    [
        ({"python3.11": "3.11", "python3.12": "3.12"}, "python3.11"),
        ({"python3.12": "3.12", "python3": "3.13"}, "python3.12"),
        ({"python3.11": "3.10", "python3": "3.12"}, "python3"),
    ],
)
def test_the_set_up_takes_a_python_of_either_version(
    tools: Path, tmp_path: Path, there: dict[str, str], used: str
) -> None:
    for name, version in there.items():
        stand_in(tools / name, version)
    done = installed_with(str(tools), f"VENV={tmp_path / 'venv'}")
    # The stand-ins stop it there: they have no module venv.
    assert done.stderr.splitlines()[0] == (
        f"set-up: '{tools / used}' lacks the venv module; "
        f"install it (Debian, Ubuntu: apt install {used}-venv)"
    )
    assert not (tmp_path / "venv").exists()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ((), "Python 3.11 or 3.12 is needed and neither is on PATH"),
        (("PYTHON=python3",), "Python 3.11 or 3.12 is needed and 'python3' is neither"),
        (("PYTHON=/none",), "Python 3.11 or 3.12 is needed and '/none' is neither"),
    ],
)
def test_no_fitting_python_is_one_line(tools: Path, tmp_path: Path, call: tuple[str, ...], said: str) -> None:
    stand_in(tools / "python3", "3.13")
    done = installed_with(str(tools), f"VENV={tmp_path / 'venv'}", *call)
    assert done.returncode != 0
    assert done.stderr.splitlines()[0].startswith(f"set-up: {said}")
    assert not (tmp_path / "venv").exists()
