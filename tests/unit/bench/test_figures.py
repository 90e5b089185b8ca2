"""The arithmetic of the benchmark's figures."""

from __future__ import annotations

import math
from dataclasses import astuple

import numpy as np
import pytest

from bench.figures import (
    Latency,
    Ratio,
    Spread,
    drift,
    latency,
    longest_gap,
    middle_rate,
    paired,
    percentile_of_whole,
    rate,
    spread,
)


def millis(*times: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(times, dtype=np.int64)


def test_a_rate_counts_the_steps_between_the_results_in_any_order() -> None:
    assert rate(millis(3_000, 1_000, 2_000)) == 1.0


@pytest.mark.parametrize("times", [(), (1_000,), (1_000, 1_000)])
def test_without_time_between_results_there_is_no_rate(times: tuple[int, ...]) -> None:
    assert math.isnan(rate(millis(*times)))


def test_the_middle_rate_leaves_out_a_slow_start_and_a_slow_end() -> None:
    # 1 result in each of the first and last second, and one each 10 ms between.
    times = millis(0, *range(1_000, 1_080, 10), 2_070)
    assert middle_rate(times) == 100.0


def test_latencies_have_percentiles_by_linear_interpolation() -> None:
    assert latency(np.arange(1, 102, dtype=np.int64)) == Latency(101, 51.0, 91.0, 100.0, 101.0, 51.0)


@pytest.mark.parametrize(
    ("begin", "end", "gap"),
    [
        (100, 200, 60.0),  # between two results
        (40, 200, 70.0),  # from the beginning to the first result
        (100, 300, 110.0),  # from the last result to the end
        (250, 300, 50.0),  # no result at all
    ],
)
def test_a_gap_is_looked_for_between_results_and_at_both_edges(begin: int, end: int, gap: float) -> None:
    assert longest_gap(millis(190, 110, 170), begin, end) == gap


def test_drift_is_in_percent_of_the_mean() -> None:
    found = drift([10, 11, 12, 13, 14], [98.0, 99.0, 100.0, 101.0, 102.0])
    assert astuple(found) == pytest.approx((100.0, -2.0, 2.0, 4.0))


def test_a_wave_is_no_trend() -> None:
    found = drift([0, 1, 2, 3], [99.0, 101.0, 101.0, 99.0])
    assert astuple(found) == pytest.approx((100.0, -1.0, 1.0, 0.0), abs=1e-9)


def test_the_spread_of_rounds() -> None:
    assert spread([3.0, 1.0, 2.0, 10.0]) == Spread(1.0, 2.5, 10.0)


def test_a_ratio_is_that_of_the_pairs_and_not_of_the_medians() -> None:
    assert paired([1.0, 10.0, 100.0], [2.0, 20.0, 200.0]) == Ratio(2.0, 2.0, 2.0)
    assert paired([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]) == Ratio(1.5, 2.0, 2.5)


def test_times_of_one_millisecond_are_spread_over_it() -> None:
    # 80 results took 2 to 3 ms and 20 took 5 to 6 ms.
    times = millis(*[2] * 80, *[5] * 20)
    assert [percentile_of_whole(times, share) for share in (0, 40, 90, 100)] == [2.0, 2.5, 5.5, 6.0]
    assert percentile_of_whole(millis(7), 50) == 7.5
