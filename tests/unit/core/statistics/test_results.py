"""Distributions and results: equal to a plain count, and mergeable."""

from __future__ import annotations

import math
import statistics
from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from model_serving.core.statistics.distribution import Distribution
from model_serving.core.statistics.results import LABEL_BYTES, MOST_LABELS, Results

NUMBERS = st.lists(st.floats(-1e9, 1e9), max_size=50)
ANY = st.lists(st.floats(), max_size=20)
LABELS = st.lists(st.sampled_from(["red", "white", "rosé", ""]), max_size=50)


def results_of(numbers: list[float], labels: list[str] | None = None) -> Results:
    results = Results()
    results.add(np.array(numbers, np.float64), labels)
    return results


@given(NUMBERS, NUMBERS, NUMBERS)
def test_results_add_up_to_a_plain_count(first: list[float], second: list[float], third: list[float]) -> None:
    everything = [*first, *second, *third]
    left, right = results_of(first), results_of(second)
    right.merge(results_of(third))
    left.merge(right)
    assert left.numbers.count == len(everything)
    if everything:
        assert left.mean == pytest.approx(statistics.fmean(everything), rel=1e-9, abs=1e-3)
        assert left.deviation == pytest.approx(statistics.pstdev(everything), rel=1e-6, abs=1e-3)
        assert left.numbers.minimum == min(everything)
        assert left.numbers.maximum == max(everything)
    else:
        assert math.isnan(left.mean)
        assert math.isnan(left.deviation)


def test_the_deviation_of_large_numbers_is_not_lost() -> None:
    assert results_of([1e12 + 1, 1e12 + 2, 1e12 + 3]).deviation == pytest.approx(math.sqrt(2 / 3))


@given(LABELS, LABELS)
def test_labels_add_up_to_a_plain_count(first: list[str], second: list[str]) -> None:
    results = results_of([0.0] * len(first), first)
    results.merge(results_of([0.0] * len(second), second))
    assert results.labels == dict(Counter([*first, *second]))


def test_labels_beyond_the_first_hundred_are_counted_together() -> None:
    labels = [f"label {number}" for number in range(MOST_LABELS + 7)]
    results = results_of([0.0] * len(labels), labels)
    assert len(results.labels) == MOST_LABELS
    assert results.other_labels == 7


def test_a_long_label_is_cut() -> None:
    (label,) = results_of([0.0], ["é" * 10_000]).labels
    assert len(label.encode()) <= LABEL_BYTES


@given(ANY, ANY)
@example([], [1.7976931348623157e308, -9.461542815064813e306])
def test_whatever_the_numbers_everything_told_of_them_is_finite(
    first: list[float], second: list[float]
) -> None:
    results = results_of(first)
    results.merge(results_of(second))
    finite = [number for number in (*first, *second) if math.isfinite(number)]
    assert results.numbers.count == len(finite)
    assert math.isfinite(results.numbers.sum)
    assert math.isfinite(results.squared_deviations)
    bars = results.histogram()
    assert sum(bar.count for bar in bars) == len(finite)
    assert all(math.isfinite(bar.lower) and math.isfinite(bar.upper) for bar in bars)


@given(NUMBERS, LABELS, NUMBERS, LABELS)
def test_what_came_later_is_the_difference(
    first: list[float], old: list[str], second: list[float], new: list[str]
) -> None:
    before = results_of(first, old)
    after = before.copy()
    after.add(np.array(second, np.float64), new)
    later = after.minus(before)
    assert later.labels == dict(Counter(new))
    assert later.numbers.count == len(second)
    if second:
        assert later.mean == pytest.approx(statistics.fmean(second), rel=1e-6, abs=1e-3)
        spread = max(map(abs, (*first, *second)))
        assert later.deviation == pytest.approx(statistics.pstdev(second), rel=1e-3, abs=spread * 1e-5 + 1e-3)


def test_a_histogram_has_bars_of_equal_width() -> None:
    bars = results_of([float(number) for number in range(1, 1001)]).histogram(10)
    assert [round(bar.upper - bar.lower, 6) for bar in bars] == [99.9] * 10
    assert sum(bar.count for bar in bars) == 1000
    assert all(80 <= bar.count <= 120 for bar in bars)


def test_equal_numbers_have_one_bar() -> None:
    (bar,) = results_of([5.0] * 9).histogram()
    assert (bar.lower, bar.upper, bar.count) == (5.0, 5.0, 9)


@given(NUMBERS)
def test_a_quantile_is_never_beyond_the_extremes(numbers: list[float]) -> None:
    distribution = Distribution()
    distribution.add(np.array(numbers, np.float64))
    if numbers:
        assert min(numbers) <= distribution.quantile(0.0) <= distribution.quantile(1.0) <= max(numbers)


def test_one_number_often_is_like_many_equal_ones() -> None:
    once, many = Distribution(), Distribution()
    once.add_one(2.5, 8)
    many.add(np.full(8, 2.5))
    assert (once.count, once.sum, once.minimum, once.maximum) == (8, 20.0, 2.5, 2.5)
    assert list(once.sketch.positive.limits()) == list(many.sketch.positive.limits())


@pytest.mark.parametrize("apart", [1, 4095, 4096, 10**9])
@pytest.mark.parametrize("least", [-3, 0, 7, 2**40])
def test_whole_numbers_are_counted_like_any_others(least: int, apart: int) -> None:
    numbers = np.array([least, least + apart, least, least + apart // 2], np.float64)
    whole, any_ = Distribution(), Distribution()
    whole.add_whole(numbers)
    any_.add(numbers)
    assert whole == any_
    whole.add_whole(np.zeros(0))
    assert whole.count == 4
