"""The README's table of flags says what the table in the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flink_jobs.config import FLAGS

README = Path(__file__).resolve().parents[3] / "README.md"
MACHINES_OWN = {"execution-mode": "thread"}
"""Flags whose default depends on the machine → the README's text for it."""


def documented() -> list[tuple[str, str]]:
    """Names and defaults in the README's table, in its order; a row may hold several."""
    section = README.read_text(encoding="utf-8").partition("## Flags of both jobs")[2].partition("\n## ")[0]
    found = []
    for row in re.findall(r"^\| (`--.*) \|$", section, re.MULTILINE):
        names, defaults, _ = row.split(" | ", 2)
        values = [value.strip("`") for value in defaults.split(", ")]
        found += list(zip(re.findall(r"`--([a-z-]+)`", names), values, strict=True))
    assert found
    return found


def test_the_readme_has_every_flag_with_its_default_and_no_other() -> None:
    names = [name for name, _ in documented()]
    assert len(names) == len(set(names))
    assert dict(documented()) == {
        flag.name: MACHINES_OWN.get(flag.name, flag.default or "off") for flag in FLAGS
    }


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: str(flag.name))
def test_a_flag_says_what_it_is_for_in_a_few_words(flag: object) -> None:
    about = getattr(flag, "help")  # noqa: B009 - any flag has one
    assert 0 < len(about) <= 160
