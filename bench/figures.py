"""Computes every figure. Pure: timestamps in; throughput, percentiles, gaps, drift and spread out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = [
    "Drift",
    "Latency",
    "Ratio",
    "Spread",
    "drift",
    "latency",
    "longest_gap",
    "middle_rate",
    "paired",
    "percentile_of_whole",
    "rate",
    "spread",
]

Millis = npt.NDArray[np.int64]
"""Times, epoch milliseconds."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The figures of equal runs of one measurement."""

    minimum: float
    median: float
    maximum: float


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as much one system takes as another: the median of the pairs, and their quartiles."""

    low: float
    median: float
    high: float


@dataclass(frozen=True, slots=True)
class Latency:
    """Latencies of ``count`` results, milliseconds."""

    count: int
    p50: float
    p90: float
    p99: float
    max: float
    mean: float


@dataclass(frozen=True, slots=True)
class Drift:
    """The change of a quantity over a time.

    ``low`` and ``high`` are the least and greatest value, as differences from the mean. ``trend`` is the rise
    of the least-squares line from the first sample to the last. All three are in percent of the mean.
    """

    mean: float
    low: float
    high: float
    trend: float


def spread(values: Sequence[float]) -> Spread:
    """Returns the least, median and greatest of n ≥ 1 values."""
    return Spread(float(min(values)), float(np.median(values)), float(max(values)))


def paired(first: Sequence[float], second: Sequence[float]) -> Ratio:
    """Returns ``second`` divided by ``first``, pair by pair, of n ≥ 1 pairs that were measured together."""
    ratios = np.asarray(second, dtype=np.float64) / np.asarray(first, dtype=np.float64)
    low, median, high = (float(value) for value in np.percentile(ratios, [25, 50, 75]))
    return Ratio(low, median, high)


def percentile_of_whole(values: npt.NDArray[np.int64], share: float) -> float:
    """Returns the percentile ``share`` (0 to 100) of n ≥ 1 times that are cut to whole milliseconds.

    Those of one millisecond are taken to be spread over it evenly, so that two percentiles that differ by
    less than a millisecond can be told apart (the percentile of grouped data).
    """
    numbers, counts = np.unique(values, return_counts=True)
    wanted = share / 100 * len(values)
    upto = np.cumsum(counts)
    place = min(int(np.searchsorted(upto, wanted)), len(numbers) - 1)
    return float(numbers[place] + (wanted - (upto[place] - counts[place])) / counts[place])


def rate(times: Millis) -> float:
    """Returns results a second: (n - 1) / (last - first). NaN when no time passes."""
    ordered = np.sort(times)
    if len(ordered) < 2 or ordered[-1] == ordered[0]:
        return float("nan")
    return float((len(ordered) - 1) * 1000 / (ordered[-1] - ordered[0]))


def middle_rate(times: Millis, share: float = 0.8) -> float:
    """Returns the `rate` over the middle ``share`` of the results, without the start and the end."""
    cut = round(len(times) * (1 - share) / 2)
    return rate(np.sort(times)[cut : len(times) - cut])


def latency(values: npt.NDArray[np.int64]) -> Latency:
    """Returns percentiles (by linear interpolation) of n ≥ 1 latencies in milliseconds."""
    p50, p90, p99 = (float(value) for value in np.percentile(values, [50, 90, 99]))
    return Latency(len(values), p50, p90, p99, float(values.max()), float(values.mean()))


def longest_gap(times: Millis, begin: float, end: float) -> float:
    """Returns the longest time, ms, without a result between ``begin`` and ``end``, edges included."""
    ordered = np.sort(times)
    inside = ordered[(ordered > begin) & (ordered < end)]
    return float(np.diff(np.concatenate(([begin], inside, [end]))).max())


def drift(seconds: Sequence[float], values: Sequence[float]) -> Drift:
    """Returns the drift of n ≥ 2 samples taken at ``seconds``, ascending."""
    at, samples = np.asarray(seconds, dtype=np.float64), np.asarray(values, dtype=np.float64)
    mean = float(samples.mean())
    slope = float(np.polyfit(at - at[0], samples, 1)[0])

    def percent(value: float) -> float:
        return 100 * value / mean

    return Drift(
        mean,
        percent(float(samples.min()) - mean),
        percent(float(samples.max()) - mean),
        percent(slope * float(at[-1] - at[0])),
    )
