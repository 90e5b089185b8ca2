"""Fields against their reference: bins, the stability index, and when it means anything."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_serving.core.statistics.fields import (
    BINS,
    DRIFT,
    LEAST_RECORDS,
    FieldStatistics,
    Reference,
    drift_of,
    edges_of,
    merged_fields,
    noise,
    stability_index,
)

FLOATS = st.floats(-1e6, 1e6)


def binned(values: np.ndarray, edges: tuple[float, ...]) -> tuple[int, ...]:
    places = np.searchsorted(edges, values, side="left")
    return tuple(np.bincount(places, minlength=len(edges) + 1).tolist())


def compared(reference: np.ndarray, values: np.ndarray, missing: int = 0) -> FieldStatistics:
    edges = edges_of(reference)
    referred = Reference("records", len(reference), 0, float(reference.sum()), binned(reference, edges))
    count = len(values) + missing
    return FieldStatistics("pH", count, missing, float(values.sum()), edges, binned(values, edges), referred)


@given(st.lists(FLOATS, min_size=1, max_size=200))
def test_the_limits_ascend_and_are_nine_at_most(values: list[float]) -> None:
    edges = edges_of(np.array(values))
    assert list(edges) == sorted(set(edges))
    assert 0 < len(edges) < BINS


def test_a_tenth_of_the_reference_is_in_each_bin() -> None:
    values = np.arange(1000, dtype=np.float64)
    assert binned(values, edges_of(values)) == (100,) * BINS


def test_a_constant_field_that_changes_either_way_has_drifted() -> None:
    constant = np.full(500, 5.0)
    for other in (4.0, 6.0):
        (drift,) = drift_of([compared(constant, np.full(500, other))])
        assert drift.drifted
    (same,) = drift_of([compared(constant, constant)])
    assert same.index == 0
    assert not same.drifted


def test_the_index_is_the_sum_over_the_bins() -> None:
    by_hand = (0.6 - 0.5) * math.log(0.6 / 0.5) + (0.4 - 0.5) * math.log(0.4 / 0.5)
    assert stability_index([60, 40], [50, 50]) == pytest.approx(by_hand)
    assert stability_index([100, 0], [50, 50]) == pytest.approx(
        (1 - 0.5) * math.log(1 / 0.5) + (0.0001 - 0.5) * math.log(0.0001 / 0.5)
    )


def test_a_shift_is_a_drift_and_a_sample_of_the_same_is_none() -> None:
    random = np.random.default_rng(3)
    reference = random.normal(size=1000)
    (same,) = drift_of([compared(reference, random.normal(size=20_000))])
    (shifted,) = drift_of([compared(reference, random.normal(size=20_000) + 1)])
    assert same.index is not None
    assert same.index < 0.1
    assert not same.drifted
    assert shifted.index is not None
    assert shifted.index > DRIFT
    assert shifted.drifted


def test_a_small_reference_is_no_reason_for_alarm() -> None:
    random = np.random.default_rng(4)
    drifts = [
        drift_of([compared(random.normal(size=30), random.normal(size=5000))])[0].drifted for _ in range(200)
    ]
    assert sum(drifts) <= 2
    assert noise(10, 5000, 30) > DRIFT


def test_few_records_say_nothing() -> None:
    reference = np.arange(1000, dtype=np.float64)
    (drift,) = drift_of([compared(reference, np.full(LEAST_RECORDS - 1, 5e6))])
    assert drift.index is None
    assert not drift.drifted


def test_equal_references_add_up() -> None:
    reference = np.arange(100, dtype=np.float64)
    first, second = compared(reference, np.zeros(10), missing=1), compared(reference, np.full(20, 99.0))
    (both,) = merged_fields([first, second])
    assert both.bins == (10, 0, 0, 0, 0, 0, 0, 0, 0, 20)
    assert (both.count, both.missing, both.sum) == (31, 1, 20 * 99.0)
    assert both.reference == first.reference


def test_other_references_are_weighted_by_their_records() -> None:
    random = np.random.default_rng(5)
    first = compared(random.normal(size=1000), random.normal(size=1000))
    second = compared(random.normal(size=1000), random.normal(size=3000) + 2)
    (drift,) = drift_of([first, second])
    assert first.index is not None
    assert second.index is not None
    assert drift.index == pytest.approx((first.index + 3 * second.index) / 4)
    assert drift.count == 4000
    assert drift.reference_count == 2000


@given(st.permutations([0, 1, 2, 3, 4]))
def test_the_order_of_reports_does_not_matter(order: list[int]) -> None:
    reference, other = np.arange(100, dtype=np.float64), np.arange(50, dtype=np.float64)
    parts = [compared(reference if number % 2 else other, np.full(10 + number, 7.0)) for number in range(5)]
    shuffled = merged_fields(parts[number] for number in order)
    assert set(shuffled) == set(merged_fields(parts))


def test_what_came_later_is_the_difference() -> None:
    reference = np.arange(100, dtype=np.float64)
    before, after = compared(reference, np.zeros(10)), compared(reference, np.zeros(25), missing=2)
    later = after.minus(before)
    assert (later.count, later.missing, later.bins[0]) == (17, 2, 15)


def test_a_field_without_a_reference_tells_of_missing_values() -> None:
    (drift,) = drift_of([FieldStatistics("colour", 10, 4, 0.0)])
    assert drift.missing_share == 0.4
    assert drift.index is None
    assert drift.source == ""
