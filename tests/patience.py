"""The time limits of tests: the given time on a machine at rest, more time on a busy machine.

Time limits use :func:`patience` or :class:`Patience`. Speed cannot be measured on a busy machine, so a test
that compares speeds calls :func:`require_calm` first, and is skipped there with the reason.
"""

from __future__ import annotations

import os
import time

import pytest

__all__ = ["CALM", "MOST", "Patience", "load_factor", "patience", "require_calm"]

MOST = 8.0
"""The greatest factor for a time limit: a test that hangs must still fail."""

CALM = 2.0
"""Processes for each core, in the last minute, above which the machine is too busy to measure speed.

A run of all tests makes about one and a half by itself.
"""


def load_factor() -> float:
    """Returns the number of runnable processes per core in the last minute, from 1 to ``MOST``."""
    return min(MOST, max(1.0, _load_per_core()))


def patience(seconds: float) -> float:
    """Returns ``seconds``, increased for the load of the machine now."""
    return seconds * load_factor()


class Patience:
    """A wait of ``seconds`` that begins when it is created, and takes longer on a busier machine."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._begin_s = time.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() - self._begin_s > patience(self._seconds)


def require_calm() -> None:
    """Skips a test that measures speed when the machine is too busy."""
    load = _load_per_core()
    if load > CALM:
        pytest.skip(f"speed is not measured with a load of {load:.1f} a core; {CALM:g} is the most")


def _load_per_core() -> float:
    try:
        load = os.getloadavg()[0]
    except OSError:
        return 1.0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return load / cores
