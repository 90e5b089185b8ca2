"""Limits of time grow with the load of the machine, and end somewhere."""

from __future__ import annotations

import os
import time

import pytest

from tests import patience
from tests.jobs import eventually
from tests.patience import CALM, MOST, Patience, load_factor, require_calm

CORES = 4


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The load of a machine with four cores: its one item may be changed."""
    now = [0.0]
    monkeypatch.setattr(os, "getloadavg", lambda: (now[0], 0.0, 0.0))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: set(range(CORES)), raising=False)
    return now


@pytest.mark.parametrize(
    ("processes", "factor"),
    [(0.0, 1.0), (CORES, 1.0), (2.5 * CORES, 2.5), (5.0 * CORES, 5.0), (100.0 * CORES, MOST)],
)
def test_the_factor_is_the_load_of_a_core(load: list[float], processes: float, factor: float) -> None:
    load[0] = processes
    assert load_factor() == factor
    assert patience.patience(60) == 60 * factor


def test_a_wait_gets_longer_when_the_machine_gets_busier(
    load: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now_s[0])
    wait = Patience(10)
    now_s[0] = 111.0
    over = [wait.is_over]
    load[0] = 2.0 * CORES
    over.append(wait.is_over)
    now_s[0] = 121.0
    over.append(wait.is_over)
    assert over == [True, False, True]


def test_what_never_comes_true_fails_with_what_was_awaited() -> None:
    with pytest.raises(AssertionError, match=r"^not within 0\.01 s: the moon is not full$"):
        eventually(lambda: False, lambda: "the moon is not full", within_s=0.01, step_s=0.001)


def test_speed_is_not_measured_on_a_busy_machine(load: list[float]) -> None:
    load[0] = CALM * CORES
    require_calm()
    load[0] = (CALM + 0.5) * CORES
    with pytest.raises(pytest.skip.Exception, match=r"with a load of 2\.5 a core; 2 is the most"):
        require_calm()


def test_a_test_has_more_time_on_a_busy_machine(request: pytest.FixtureRequest) -> None:
    mark = request.node.get_closest_marker("timeout")
    default = float(request.config.getini("timeout"))
    assert 2 * default <= mark.args[0] <= MOST * default
