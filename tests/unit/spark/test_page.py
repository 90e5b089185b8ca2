"""docs/spark.md says what the jobs' table of flags says, and the README says which flags they share."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from model_serving.spark.config import Variant, flags

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "spark.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def section(text: str, title: str) -> str:
    found = text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    assert found
    return found


def own_flags() -> dict[str, list[str]]:
    """The flags in the page's table with their defaults."""
    rows = re.findall(r"^\| `--([a-z-]+)` \| (.*?) \|", section(PAGE, "Flags"), re.MULTILINE)
    return {name: re.findall(r"[^`, ]+", default) for name, default in rows}


@pytest.mark.parametrize("variant", Variant)
def test_the_jobs_have_the_shared_flags_and_those_in_the_table(variant: Variant) -> None:
    rows = re.findall(r"^\| (`--.*?) \| .*? \| (\w+) \|", section(README, "Flags"), re.MULTILINE)
    shared = {name for names, of in rows if of == "all" for name in re.findall(r"--([a-z-]+)", names)}
    expected = shared - {"partition-discovery-interval-ms"} | {"inline-limit"} | own_flags().keys()
    assert {flag.name for flag in flags(variant)} == expected


@pytest.mark.parametrize("variant", Variant)
def test_the_defaults_are_those_of_the_code(variant: Variant) -> None:
    defaults = {flag.name: flag.default for flag in flags(variant)}
    wrong = {name: said for name, said in own_flags().items() if defaults[name] not in said}
    assert wrong == {}
