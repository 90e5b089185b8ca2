"""The steady schedule, on a clock that the test moves."""

from __future__ import annotations

import itertools

import pytest

from model_serving.client.schedule import steady


class Clock:
    """A clock that moves by sleeping; ``late_s`` is added to each sleep, as on a busy machine."""

    def __init__(self, late_s: float = 0.0) -> None:
        self.now = 0
        self.late_s = late_s

    def now_ns(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += round((seconds + self.late_s) * 1e9)


@pytest.mark.parametrize("rate", [0.5, 1, 3, 1_000, 50_000])
def test_the_rate_holds_over_ten_thousand_turns_even_if_every_sleep_is_late(rate: float) -> None:
    clock = Clock(late_s=0.0004)
    sent = 0
    for due in itertools.islice(steady(rate, now_ns=clock.now_ns, sleep=clock.sleep), 10_000):
        sent += due
    assert sent == int(clock.now / 1e9 * rate) + 1


def test_the_first_is_due_at_once_and_the_others_at_their_time() -> None:
    clock = Clock()
    schedule = steady(2, now_ns=clock.now_ns, sleep=clock.sleep)
    times = [(due, clock.now / 1e9) for due in itertools.islice(schedule, 4)]
    assert times == [(1, 0.0), (1, 0.5), (1, 1.0), (1, 1.5)]


def test_what_was_missed_is_made_up_for() -> None:
    clock = Clock()
    schedule = steady(10, now_ns=clock.now_ns, sleep=clock.sleep)
    assert next(schedule) == 1
    clock.now += 2_000_000_000
    assert next(schedule) == 20
