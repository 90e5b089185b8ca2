"""Sketches: quantiles within one percent, adding up in any order, bounded size."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_serving.core.statistics.sketch import MOST_BUCKETS, RELATIVE_ERROR, SMALLEST, Sketch

MEASURES = st.one_of(
    st.just(0.0),
    st.floats(1e-8, 1e8),
    st.floats(-1e8, -1e-8),
)
"""Numbers whose buckets all fit."""

ANY = st.floats(allow_nan=False, allow_infinity=False)


def sketch_of(numbers: list[float], most: int = MOST_BUCKETS) -> Sketch:
    sketch = Sketch(most=most)
    sketch.add(np.array(numbers, np.float64))
    return sketch


def contents(sketch: Sketch) -> object:
    return (list(sketch.positive.limits()), list(sketch.negative.limits()), sketch.zeros)


@given(st.lists(MEASURES, min_size=1, max_size=60), st.floats(0, 1))
def test_a_quantile_is_within_one_percent_of_the_number_that_has_its_rank(
    numbers: list[float], q: float
) -> None:
    exact = sorted(numbers)[math.floor(q * (len(numbers) - 1))]
    found = sketch_of(numbers).quantile(q)
    assert abs(found - exact) <= abs(exact) * RELATIVE_ERROR * (1 + 1e-9)


@given(st.lists(ANY, max_size=40), st.lists(ANY, max_size=40), st.lists(ANY, max_size=40))
def test_sketches_add_up_in_any_order_also_where_buckets_are_joined(
    first: list[float], second: list[float], third: list[float]
) -> None:
    left = sketch_of(first, 64)
    left.merge(sketch_of(second, 64))
    left.merge(sketch_of(third, 64))
    right = sketch_of(second, 64)
    right.merge(sketch_of(third, 64))
    other = sketch_of(first, 64)
    other.merge(right)
    swapped = sketch_of(third, 64)
    swapped.merge(sketch_of(first, 64))
    swapped.merge(sketch_of(second, 64))
    at_once = sketch_of([*first, *second, *third], 64)
    assert contents(left) == contents(other) == contents(swapped) == contents(at_once)
    assert left.count == len(first) + len(second) + len(third)


@given(st.lists(MEASURES, max_size=60))
def test_one_by_one_counts_the_same_as_all_at_once(numbers: list[float]) -> None:
    sketch = Sketch()
    for number, times in Counter(numbers).items():
        sketch.add_one(number, times)
    together = sketch_of(numbers)
    assert sketch.count == together.count
    for q in (0.0, 0.5, 0.99, 1.0):
        if numbers:
            # A number on the border of two buckets may be in either.
            assert sketch.quantile(q) == pytest.approx(together.quantile(q), rel=0.021)


@given(st.lists(ANY, max_size=40))
def test_no_number_takes_more_buckets_than_allowed(numbers: list[float]) -> None:
    sketch = sketch_of(numbers, 16)
    assert len(sketch.positive.counts) <= 16
    assert len(sketch.negative.counts) <= 16
    assert sketch.count == len(numbers)


@given(st.lists(MEASURES, max_size=30), st.lists(MEASURES, max_size=30))
def test_what_came_later_is_the_difference(earlier: list[float], later: list[float]) -> None:
    before = sketch_of(earlier)
    after = before.copy()
    after.add(np.array(later, np.float64))
    assert contents(after.minus(before)) == contents(sketch_of(later))


def test_the_extremes_of_floats_are_counted() -> None:
    greatest = float(np.finfo(np.float64).max)
    sketch = sketch_of([greatest, -greatest, SMALLEST, 5e-324, -5e-324, -0.0])
    assert sketch.count == 6
    assert sketch.zeros == 3
    assert sketch.quantile(1.0) == pytest.approx(greatest, rel=0.011)
    assert math.isfinite(sketch.quantile(0.0))


def test_an_empty_sketch_has_no_quantile() -> None:
    assert math.isnan(Sketch().quantile(0.5))
    assert Sketch().count == 0


@given(st.lists(MEASURES, min_size=1, max_size=40))
def test_buckets_ascend_and_hold_every_number(numbers: list[float]) -> None:
    buckets = list(sketch_of(numbers).buckets())
    assert [lower for lower, _, _ in buckets] == sorted(lower for lower, _, _ in buckets)
    assert sum(count for _, _, count in buckets) == len(numbers)
