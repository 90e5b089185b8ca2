"""The README's table of flags says what the code's two tables say: the jobs' and the server's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flink_jobs.config import FLAGS as OF_JOBS
from model_serving.server.config import FLAGS as OF_SERVER

README = Path(__file__).resolve().parents[3] / "README.md"
MACHINES_OWN = {"execution-mode": "thread", "name": "the machine's name"}
"""Flags whose default depends on the machine → the README's text for it."""

NAMES_JOBS, NAMES_SERVER = ({flag.name for flag in flags} for flags in (OF_JOBS, OF_SERVER))
HOSTS = {
    "all": NAMES_JOBS & NAMES_SERVER,
    "Flink": NAMES_JOBS - NAMES_SERVER,
    "server": NAMES_SERVER - NAMES_JOBS,
}
"""The word in the table's column of hosts → the flags that it belongs to."""


def documented() -> list[tuple[str, str, str]]:
    """Names, defaults and hosts in the README's table, in its order; a row may hold several."""
    section = README.read_text(encoding="utf-8").partition("\n## Flags\n")[2].partition("\n## ")[0]
    found = []
    for row in re.findall(r"^\| (`--.*) \|$", section, re.MULTILINE):
        names, defaults, host, _ = row.split(" | ", 3)
        values = [value.strip("`") for value in defaults.split(", ")]
        found += [
            (name, default, host)
            for name, default in zip(re.findall(r"`--([a-z-]+)`", names), values, strict=True)
        ]
    assert found
    return found


def test_the_readme_has_every_flag_with_its_default_and_no_other() -> None:
    names = [name for name, _, _ in documented()]
    assert len(names) == len(set(names))
    assert {name: default for name, default, _ in documented()} == {
        flag.name: MACHINES_OWN.get(flag.name, flag.default or "off") for flag in (*OF_JOBS, *OF_SERVER)
    }


@pytest.mark.parametrize("host", HOSTS)
def test_the_readme_says_which_host_has_a_flag(host: str) -> None:
    assert {name for name, _, of in documented() if of == host} == HOSTS[host]


@pytest.mark.parametrize(
    "flag", {flag.name: flag for flag in (*OF_JOBS, *OF_SERVER)}.values(), ids=lambda flag: str(flag.name)
)
def test_a_flag_says_what_it_is_for_in_a_few_words(flag: object) -> None:
    about = getattr(flag, "help")  # noqa: B009 - any flag has one
    assert 0 < len(about) <= 160
