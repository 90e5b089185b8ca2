"""Counts of numbers in buckets of growing width, for quantiles that are at most 1 % off.

DDSketch (Masson, Rim, Lee: DDSketch, VLDB 2019). With g = 1.01 / 0.99, bucket i holds the absolute values in
(g^(i-1), g^i], and 2 g^i / (g + 1) is at most 1 % from each of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

__all__ = ["MOST_BUCKETS", "RELATIVE_ERROR", "SMALLEST", "Buckets", "Sketch"]

RELATIVE_ERROR = 0.01
"""The most that a quantile differs from the number that it stands for, as a share of that number."""

MOST_BUCKETS = 2048
"""The most buckets for numbers of one sign. Their limits differ by a factor of 6 · 10^17; smaller numbers are
counted in the lowest bucket."""

SMALLEST = float(np.finfo(np.float64).tiny)
"""Numbers whose absolute value is smaller are counted as zeros."""

_GREATEST_COMPACT = np.iinfo(np.uint32).max

_GROWTH = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_LOG_GROWTH = math.log(_GROWTH)
_PER_LOG = 1 / _LOG_GROWTH
_LOG_CENTRE = math.log(2 / (_GROWTH + 1))

Numbers = npt.NDArray[np.float64]


@dataclass(slots=True, eq=False)
class Buckets:  # noqa: PLW1641 - it changes
    """Counts of positive numbers: ``counts[k]`` numbers are in bucket ``first + k``; int64, without gaps."""

    first: int = 0
    counts: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def __eq__(self, other: object) -> bool:
        """Whether the same buckets hold the same counts."""
        return isinstance(other, Buckets) and list(self.limits()) == list(other.limits())

    def add(
        self, numbers: Numbers, least: float, most: int, times: npt.NDArray[np.int64] | None = None
    ) -> None:
        """Counts n ≥ 1 numbers, each at least ``SMALLEST``; ``times``: how often each, once without it.

        ``least`` is the smallest one.
        """
        logarithms = np.log(numbers)
        logarithms *= _PER_LOG
        places = np.ceil(logarithms, out=logarithms).astype(np.int64)
        # One less, because logarithms of arrays and of single numbers may be rounded differently.
        first = math.ceil(math.log(least) * _PER_LOG) - 1
        places -= first
        counts = np.bincount(places) if times is None else np.bincount(places, times).astype(np.int64)
        self._add_counts(first, counts, most)

    def add_one(self, number: float, times: int, most: int) -> None:
        """Counts one number ``times`` times."""
        place = math.ceil(math.log(number) * _PER_LOG) - self.first
        if 0 <= place < len(self.counts):
            self.counts[place] += times
        else:
            self._add_counts(place + self.first, np.array([times], np.int64), most)

    def merge(self, other: Buckets, most: int = MOST_BUCKETS) -> None:
        """Adds the counts of another sketch."""
        if len(other.counts):
            self._add_counts(other.first, other.counts, most)

    def minus(self, earlier: Buckets) -> Buckets:
        """What was counted after ``earlier``, a former state of this; counts are at least 0."""
        if not len(self.counts):
            return Buckets()
        left = self.counts.astype(np.int64)
        counts, at = earlier.counts.astype(np.int64), earlier.first - self.first
        if at < 0:
            # What was below the lowest bucket of today was put into it since.
            left[0] -= counts[:-at].sum()
            counts, at = counts[-at:], 0
        counts = counts[: max(len(left) - at, 0)]
        left[at : at + len(counts)] -= counts
        np.maximum(left, 0, out=left)
        (places,) = np.nonzero(left)
        if not len(places):
            return Buckets()
        return Buckets(self.first + int(places[0]), left[places[0] : places[-1] + 1].copy())

    def compact(self) -> Buckets:
        """The same counts in half of the memory if they allow it; nothing may be counted in these."""
        fits = bool(len(self.counts)) and int(self.counts.max()) <= _GREATEST_COMPACT
        return Buckets(self.first, self.counts.astype(np.uint32)) if fits else self

    def copy(self) -> Buckets:
        """The same counts, which do not change with these."""
        return Buckets(self.first, self.counts.copy())

    def limits(self) -> Iterator[tuple[int, int]]:
        """The number of each bucket that is not empty, and its count, from the lowest on."""
        for place in np.flatnonzero(self.counts).tolist():
            yield self.first + place, int(self.counts[place])

    def _add_counts(self, first: int, counts: npt.NDArray[np.int64], most: int) -> None:
        if not len(self.counts):
            self.first, self.counts = first, np.zeros(0, np.int64)
            low, high = first, first + len(counts)
        else:
            low = min(self.first, first)
            high = max(self.first + len(self.counts), first + len(counts))
        low = max(low, high - most)
        if low != self.first or high - low != len(self.counts):
            grown = np.zeros(high - low, np.int64)
            _put(grown, self.first - low, self.counts)
            self.first, self.counts = low, grown
        _put(self.counts, first - low, counts)


def _put(target: npt.NDArray[np.int64], at: int, counts: npt.NDArray[np.int64]) -> None:
    """Adds counts from the place ``at`` on; those before the first place are counted in it."""
    if at < 0:
        target[0] += counts[:-at].sum()
        counts, at = counts[-at:], 0
    target[at : at + len(counts)] += counts


def _place(sums: npt.NDArray[np.int64], number: int) -> int:
    """The first place whose sum is greater than a number; ``sums`` ascend."""
    return int(sums.searchsorted(number, side="right"))


def _centre(bucket: int) -> float:
    return math.exp(min(bucket * _LOG_GROWTH + _LOG_CENTRE, _LARGEST_LOG))


def _upper(bucket: int) -> float:
    return math.exp(min(bucket * _LOG_GROWTH, _LARGEST_LOG))


_LARGEST_LOG = 709.78
"""A little less than the logarithm of the greatest float."""


@dataclass(slots=True)
class Sketch:
    """Counts of finite numbers. Adding sketches up is exact: the order does not matter.

    ``most`` is the most buckets for numbers of one sign: with fewer, small numbers share the lowest bucket.
    """

    positive: Buckets = field(default_factory=Buckets)
    negative: Buckets = field(default_factory=Buckets)
    zeros: int = 0
    most: int = MOST_BUCKETS

    @property
    def count(self) -> int:
        """How many numbers were counted."""
        return int(self.positive.counts.sum()) + int(self.negative.counts.sum()) + self.zeros

    def add(
        self,
        values: Numbers,
        times: npt.NDArray[np.int64] | None = None,
        *,
        least: float | None = None,
    ) -> None:
        """Counts finite numbers, an array of shape (n,); ``times``: how often each, once without it.

        ``least`` is the smallest one, if it is known.
        """
        if not len(values):
            return
        least = float(values.min()) if least is None else least
        if least >= SMALLEST:
            self.positive.add(values, least, self.most, times)
            return
        above, below = values >= SMALLEST, values <= -SMALLEST
        for buckets, signed, chosen in ((self.positive, values, above), (self.negative, -values, below)):
            if chosen.any():
                part = signed[chosen]
                often = None if times is None else times[chosen]
                buckets.add(part, float(part.min()), self.most, often)
        rest = ~(above | below)
        self.zeros += int(rest.sum() if times is None else times[rest].sum())

    def add_one(self, value: float, times: int = 1) -> None:
        """Counts one finite number ``times`` times."""
        if value >= SMALLEST:
            self.positive.add_one(value, times, self.most)
        elif value <= -SMALLEST:
            self.negative.add_one(-value, times, self.most)
        else:
            self.zeros += times

    def merge(self, other: Sketch) -> None:
        """Adds the counts of another sketch."""
        self.positive.merge(other.positive, self.most)
        self.negative.merge(other.negative, self.most)
        self.zeros += other.zeros

    def minus(self, earlier: Sketch) -> Sketch:
        """What was counted after ``earlier``, a former state of this."""
        return Sketch(
            self.positive.minus(earlier.positive),
            self.negative.minus(earlier.negative),
            max(0, self.zeros - earlier.zeros),
            self.most,
        )

    def copy(self) -> Sketch:
        """The same counts, which do not change with these."""
        return Sketch(self.positive.copy(), self.negative.copy(), self.zeros, self.most)

    def compact(self) -> Sketch:
        """See ``Buckets.compact``."""
        return Sketch(self.positive.compact(), self.negative.compact(), self.zeros, self.most)

    def quantile(self, q: float) -> float:
        """The number below which a share ``q`` in 0…1 of the numbers lies, 1 % off at most; NaN without any.

        It stands for the number at the place ``floor(q · (n - 1))`` of the n sorted numbers.
        """
        return self.quantiles((q,))[0]

    def quantiles(self, shares: Sequence[float]) -> list[float]:
        """The quantile of each share, in less time than one after the other: see ``quantile``."""
        negative = self.negative.counts.cumsum(dtype=np.int64)
        positive = self.positive.counts.cumsum(dtype=np.int64)
        below = int(negative[-1]) if len(negative) else 0
        count = below + self.zeros + (int(positive[-1]) if len(positive) else 0)
        if not count:
            return [math.nan for _ in shares]
        found = []
        for share in shares:
            place = math.floor(share * (count - 1))
            if place < below:
                # The greatest absolute value comes first.
                found.append(-_centre(self.negative.first + _place(negative, below - 1 - place)))
            elif place < below + self.zeros:
                found.append(0.0)
            else:
                found.append(_centre(self.positive.first + _place(positive, place - below - self.zeros)))
        return found

    def buckets(self) -> Iterator[tuple[float, float, int]]:
        """The lower limit, the upper limit and the count of each bucket that is not empty, ascending."""
        for bucket, count in reversed(list(self.negative.limits())):
            yield -_upper(bucket), -_upper(bucket - 1), count
        if self.zeros:
            yield 0.0, 0.0, self.zeros
        for bucket, count in self.positive.limits():
            yield _upper(bucket - 1), _upper(bucket), count
