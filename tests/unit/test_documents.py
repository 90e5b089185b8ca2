"""What the documents for newcomers say is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from model_serving.core.messages import Reason
from model_serving.protos.deadletter_pb2 import DeadLetter

ROOT = Path(__file__).resolve().parents[2]
DOORS = ("CHANGELOG.md", "CONTRIBUTING.md", "README.md", "SECURITY.md", "docs/dead-letters.md")
PAGES = (
    *DOORS,
    "docs/dashboard.md",
    "docs/deployment.md",
    "docs/metrics.md",
    "docs/production.md",
    "docs/runbook.md",
    "docs/spark.md",
)
FORMS = ("bug.yml", "feature.yml", "model.yml")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def anchors(text: str) -> set[str]:
    """The names by which the headings of a page are linked."""
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken_links(name: str) -> Iterator[str]:
    """The relative links of a page that lead nowhere."""
    for target in re.findall(r"\]\(([^)\s]+)\)", read(name)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = ((ROOT / name).parent / path) if path else ROOT / name
        if not found.exists() or (anchor and anchor not in anchors(found.read_text(encoding="utf-8"))):
            yield target


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    assert list(broken_links(name)) == []


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "SECURITY.md"])
def test_files_and_folders_that_are_named_exist(name: str) -> None:
    named = re.findall(r"`((?:[\w.-]+/)+[\w.-]*)`", read(name))
    assert named != []
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("name", DOORS)
def test_make_targets_that_are_named_exist(name: str) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", read("Makefile"), re.MULTILINE))
    named = set(re.findall(r"`make\s+([a-z0-9-]+)", read(name)))
    assert named - targets == set()


def test_each_reason_of_a_dead_letter_has_a_section() -> None:
    sections = re.findall(r"^## (\w+)$", read("docs/dead-letters.md"), re.MULTILINE)
    assert sections == list(DeadLetter.Reason.keys()) == [reason.name for reason in Reason]


def test_each_section_says_causes_and_what_to_do() -> None:
    _, *sections = re.split(r"^## ", read("docs/dead-letters.md"), flags=re.MULTILINE)
    for section in sections[1:]:
        assert "| cause | what to do |" in section, section.split()[0]
        assert "**You see**" in section, section.split()[0]


def test_the_changelog_is_in_its_form() -> None:
    text = read("CHANGELOG.md")
    releases = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert releases[0] == "[Unreleased]"
    assert [
        one for one in releases[1:] if not re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", one)
    ] == []
    kinds = re.findall(r"^### (.*)$", text, re.MULTILINE)
    assert set(kinds) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert "**[state]**" in text


@pytest.mark.parametrize("name", FORMS)
def test_an_issue_form_is_whole(name: str) -> None:
    form = yaml.safe_load(read(f".github/ISSUE_TEMPLATE/{name}"))
    assert {"name", "description", "body"} <= form.keys()
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    ids = [field["id"] for field in fields]
    assert len(ids) == len(set(ids))
    assert any(field.get("validations", {}).get("required") for field in fields)
    assert all(field["attributes"]["label"] for field in fields)


def test_security_faults_are_not_reported_in_public() -> None:
    assert "private vulnerability reporting" in read("SECURITY.md")
    assert "SECURITY.md" in read(".github/ISSUE_TEMPLATE/bug.yml")
    # No address: nobody has been named who would read it.
    assert re.findall(r"\S+@\S+\.\w+", read("SECURITY.md")) == []
