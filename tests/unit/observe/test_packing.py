"""Distributions as bytes: what comes back tells the same."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from model_serving.core.statistics.distribution import Distribution
from model_serving.observe.packing import packed, unpacked

_NUMBERS = st.lists(st.floats(-1e9, 1e9, allow_nan=False), max_size=60)


def distribution(numbers: list[float]) -> Distribution:
    found = Distribution()
    found.add(np.array(numbers, np.float64))
    return found


@given(_NUMBERS)
def test_what_comes_back_is_the_same(numbers: list[float]) -> None:
    one = distribution(numbers)
    assert unpacked(packed(one)) == one


@given(_NUMBERS, _NUMBERS)
def test_what_comes_back_can_be_added_to(numbers: list[float], others: list[float]) -> None:
    total, expected = unpacked(packed(distribution(numbers))), distribution(numbers)
    for one in (total, expected):
        one.merge(distribution(others))
    assert total == expected


@given(_NUMBERS, _NUMBERS)
def test_compact_counts_tell_the_same(numbers: list[float], more: list[float]) -> None:
    earlier, later = distribution(numbers), distribution([*numbers, *more])
    assert later.compact() == later
    assert later.compact().minus(earlier.compact()) == later.minus(earlier)
    total = Distribution()
    total.merge(later.compact())
    assert total.sketch == later.sketch


def test_few_latencies_over_a_wide_range_take_little_room() -> None:
    few = distribution([0.5 * 1.1**power for power in range(50)])
    assert len(packed(few)) < 60 + 50 * 6
    assert few.sketch.positive.counts.nbytes > 8 * len(packed(few)) / 2


def test_a_count_beyond_32_bits_is_cut() -> None:
    many = Distribution()
    many.add_one(3.0, 1 << 40)
    assert many.compact().sketch.positive.counts.dtype == np.int64
    back = unpacked(packed(many))
    assert (back.count, back.quantile(0.5)) == (1 << 40, many.quantile(0.5))
