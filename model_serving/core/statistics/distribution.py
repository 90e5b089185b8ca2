"""A distribution of numbers: count, sum and extremes exactly, and quantiles from a sketch."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from model_serving.core.statistics.sketch import Sketch

__all__ = ["Distribution", "bounded"]

_FEW = 4096
"""Whole numbers that are closer together than this are first counted number by number."""

_GREATEST = sys.float_info.max


def bounded(number: float) -> float:
    """The number, or the greatest float of its sign if it is infinite: sums of huge numbers stay numbers."""
    return min(max(number, -_GREATEST), _GREATEST)


@dataclass(slots=True)
class Distribution:
    """Finite numbers. Without any, ``minimum`` and ``maximum`` are infinite and have the wrong sign."""

    count: int = 0
    sum: float = 0.0
    minimum: float = math.inf
    maximum: float = -math.inf
    sketch: Sketch = field(default_factory=Sketch)

    @property
    def mean(self) -> float:
        """The mean; NaN without any number."""
        return self.sum / self.count if self.count else math.nan

    def add(self, values: npt.NDArray[np.float64], times: npt.NDArray[np.int64] | None = None) -> None:
        """Counts finite numbers, an array of shape (n,); ``times``: how often each, once without it."""
        if not len(values):
            return
        self.count += len(values) if times is None else int(times.sum())
        self.sum = bounded(self.sum + float(values.sum() if times is None else values @ times))
        least = float(values.min())
        self.minimum = min(self.minimum, least)
        self.maximum = max(self.maximum, float(values.max()))
        self.sketch.add(values, times, least=least)

    def add_whole(self, values: npt.NDArray[np.float64]) -> None:
        """Counts numbers without fractions, an array of shape (n,): faster where many are equal."""
        if not len(values):
            return
        least = float(values.min())
        if float(values.max()) - least >= _FEW:
            self.add(values)
            return
        counts = np.bincount((values - least).astype(np.intp))
        different = np.flatnonzero(counts)
        self.add(different + least, counts[different])

    def add_one(self, value: float, times: int = 1) -> None:
        """Counts one finite number ``times`` times."""
        self.count += times
        self.sum = bounded(self.sum + value * times)
        self.minimum = min(self.minimum, value)
        self.maximum = max(self.maximum, value)
        self.sketch.add_one(value, times)

    def merge(self, other: Distribution) -> None:
        """Adds the numbers of another distribution."""
        self.count += other.count
        self.sum = bounded(self.sum + other.sum)
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)
        self.sketch.merge(other.sketch)

    def minus(self, earlier: Distribution) -> Distribution:
        """What was counted after ``earlier``, a former state of this; the extremes are 1 % off at most."""
        count = self.count - earlier.count
        if count <= 0:
            return Distribution()
        sketch = self.sketch.minus(earlier.sketch)
        least, most = sketch.quantiles((0.0, 1.0))
        return Distribution(
            count,
            self.sum - earlier.sum,
            self._within(least),
            self._within(most),
            sketch,
        )

    def copy(self) -> Distribution:
        """The same numbers, which do not change with these."""
        return Distribution(self.count, self.sum, self.minimum, self.maximum, self.sketch.copy())

    def compact(self) -> Distribution:
        """The same numbers in less memory; nothing may be counted in these."""
        return Distribution(self.count, self.sum, self.minimum, self.maximum, self.sketch.compact())

    def quantile(self, q: float) -> float:
        """See ``Sketch.quantile``; never beyond the extremes."""
        return self.quantiles((q,))[0]

    def quantiles(self, shares: Sequence[float]) -> list[float]:
        """See ``Sketch.quantiles``; never beyond the extremes."""
        return [one if math.isnan(one) else self._within(one) for one in self.sketch.quantiles(shares)]

    def _within(self, number: float) -> float:
        return min(max(number, self.minimum), self.maximum)
