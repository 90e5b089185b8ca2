"""The benchmark's producer says when each record was due."""

from __future__ import annotations

import math

import pytest

from bench.load import lateness


def test_records_that_are_due_in_one_millisecond_are_not_late() -> None:
    assert list(lateness(1, 1_000)) == [(0, 1)]
    assert list(lateness(150, 150_000)) == [(0, 150)]


def test_a_producer_that_was_stopped_says_how_late_each_record_is() -> None:
    assert list(lateness(4, 1_000)) == [(3, 1), (2, 1), (1, 1), (0, 1)]
    assert list(lateness(3, 200)) == [(10, 1), (5, 1), (0, 1)]
    assert list(lateness(5, 2_000)) == [(2, 1), (1, 2), (0, 2)]


@pytest.mark.parametrize("rate", [0.5, 3.0, 999.9, 1_000.0, 1_500.0, 88_800.0, 158_300.0])
@pytest.mark.parametrize("due", [1, 2, 7, 1_000, 20_001])
def test_every_record_is_as_late_as_the_records_after_it_say(due: int, rate: float) -> None:
    each = [late for late, count in lateness(due, rate) for _ in range(count)]
    assert each == [math.floor((due - 1 - number) * 1000 / rate) for number in range(due)]
