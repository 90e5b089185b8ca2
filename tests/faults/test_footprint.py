"""What counts as growth, and what does not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.faults.footprint import Footprint, growth
from tests.jobs import MARK

BEFORE = Footprint(100, 2000.0, 1000.0, 150, 120, Counter({"java": 2}), 1, {"java": 2000.0}, 300)


def between(mib_a_swap: float) -> list[Footprint]:
    return [
        replace(BEFORE, swaps=swaps, rss_mib=2000 + noise + mib_a_swap * (swaps - 100))
        for swaps, noise in zip(range(100, 1001, 100), [0, 30, -30, 10, -10] * 2, strict=True)
    ]


def complaints(mib_a_swap: float = 0.0, **after: Any) -> list[str]:
    found = growth(BEFORE, between(mib_a_swap), replace(BEFORE, swaps=1000, **after))
    return found.complaints(trend_percent=3, slack=12)


def test_what_moves_up_and_down_is_flat() -> None:
    assert complaints() == []
    assert complaints(threads=162, descriptors=132, processes=Counter({"java": 1}), temporary=0) == []


def test_a_leak_of_a_tenth_of_a_megabyte_a_swap_is_growth() -> None:
    (said,) = complaints(0.1)
    assert said.startswith("resident memory (RSS) rises by ")
    assert said.endswith(" MiB from 2000 MiB")


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ({"rss_mib": 2061.0}, "resident memory (RSS) at rest rises by 61 MiB from 2000 MiB"),
        ({"uss_mib": 1031.0}, "memory of its own (USS) at rest rises by 31 MiB from 1000 MiB"),
        ({"threads": 163}, "threads: 163 instead of 150"),
        ({"descriptors": 133}, "open files: 133 instead of 120"),
        ({"processes": Counter({"java": 3})}, "processes more than before: {'java': 1}"),
        ({"state_kib": 5000}, "state: 5,000 KiB instead of 300"),
        ({"temporary": 2}, "temporary files and folders: 2 instead of 1"),
    ],
)
def test_what_is_left_over_is_growth(after: dict[str, Any], said: str) -> None:
    assert complaints(**after) == [said]


FORKS = """
import os, sys
ballast = b'x' * 50_000_000
if os.fork():
    print("ready", flush=True)
sys.stdin.read()
"""


def test_the_processes_of_a_mark_are_seen_without_their_forks(tmp_path: Path) -> None:
    (tmp_path / "left").touch()
    with subprocess.Popen(
        [sys.executable, "-c", FORKS],
        env={**os.environ, MARK: "footprint"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        seen = Footprint.of("footprint", tmp_path, 7)
        process.communicate()
    assert (seen.swaps, seen.processes, seen.threads, seen.temporary) == (7, Counter({"python": 1}), 1, 1)
    assert 0 < seen.uss_mib < seen.rss_mib == seen.rss_of["python"]
    assert 50 < seen.rss_mib < 100
    assert seen.descriptors >= 3
