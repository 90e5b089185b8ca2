"""Scrape configuration and alert rules: whole, tested, and explained in the runbook."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "docker" / "prometheus"
RUNBOOK = "docs/runbook.md"

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="needs promtool (Debian: apt install prometheus)"
)


def rules() -> dict[str, dict[str, Any]]:
    """The alerts by their name."""
    groups = yaml.safe_load((FOLDER / "rules.yml").read_text(encoding="utf-8"))["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}


def promtool(*words: str | Path, cwd: Path = FOLDER) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["promtool", *words], cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )


@needs_promtool
@pytest.mark.parametrize(
    "words",
    [("check", "config", "prometheus.yml"), ("test", "rules", "rules_test.yml")],
    ids=["check", "test"],
)
def test_promtool_accepts_the_configuration_and_its_own_tests_of_the_rules(words: tuple[str, ...]) -> None:
    done = promtool(*words)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
@pytest.mark.parametrize("expression", ["vector(1)", "vector(1) > 1"], ids=["always fires", "never fires"])
def test_the_tests_of_the_rules_notice_each_alert_that(expression: str, tmp_path: Path) -> None:
    changed = yaml.safe_load((FOLDER / "rules.yml").read_text(encoding="utf-8"))
    for group in changed["groups"]:
        for rule in group["rules"]:
            rule.pop("for", None)
            rule["expr"] = expression
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(changed), encoding="utf-8")
    shutil.copy(FOLDER / "rules_test.yml", tmp_path)
    done = promtool("test", "rules", "rules_test.yml", cwd=tmp_path)
    assert set(re.findall(r"alertname: ?(\w+)", done.stdout + done.stderr)) == set(rules())


def test_each_alert_has_a_summary_and_a_section_of_the_runbook_that_says_what_to_do() -> None:
    text = (ROOT / RUNBOOK).read_text(encoding="utf-8")
    _, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
    titles = [section.splitlines()[0] for section in sections]
    assert titles == list(rules())
    for section in sections:
        assert re.findall(r"^\*\*(.*?)\.\*\*", section, re.MULTILINE) == ["Means", "Look first", "Mend"], (
            section
        )
    for name, rule in rules().items():
        assert rule["annotations"]["runbook"] == f"{RUNBOOK}#{name.lower()}"
        assert rule["annotations"]["summary"] != ""
        assert rule["annotations"]["description"].endswith(".")
        assert rule["labels"]["severity"] in {"info", "warning", "critical"}


def test_every_metric_of_the_rules_is_explained() -> None:
    expressions = " ".join(rule["expr"] for rule in rules().values())
    named = set(re.findall(r"\b(?:flink|model_serving)_\w+", expressions))
    explained = set(
        re.findall(r"`((?:flink|model_serving)_\w+)`", (ROOT / "docs" / "metrics.md").read_text())
    )
    # The parts of a histogram have its name and an ending.
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in named} - explained == set()


def test_the_rules_are_those_that_prometheus_loads() -> None:
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
    assert config["rule_files"] == ["rules.yml"]
    assert (FOLDER / "rules.yml").is_file()
