"""The results of a version: how often each label came, and how the numbers are distributed."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from model_serving.core.letters import shortened
from model_serving.core.scoring.finite import all_finite
from model_serving.core.statistics.distribution import Distribution, bounded

__all__ = ["LABEL_BYTES", "MOST_LABELS", "Bar", "Results"]

MOST_LABELS = 100
"""The most labels that are counted one by one: the first ones that came."""

LABEL_BYTES = 256
"""The longest label, in bytes of UTF-8. Longer ones are cut, and those that begin alike counted together."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a histogram: ``count`` numbers in (``lower``, ``upper``]."""

    lower: float
    upper: float
    count: int


@dataclass(slots=True)
class Results:
    """``labels``: label → records. ``numbers``: the finite results.

    ``squared_deviations`` is the sum of (number - mean)² over ``numbers``.
    """

    labels: dict[str, int] = field(default_factory=dict)
    other_labels: int = 0
    numbers: Distribution = field(default_factory=Distribution)
    squared_deviations: float = 0.0

    @property
    def mean(self) -> float:
        """The mean of the numbers; NaN without any."""
        return self.numbers.mean

    @property
    def deviation(self) -> float:
        """The standard deviation of the numbers (of all of them, not estimated); NaN without any."""
        count = self.numbers.count
        return math.sqrt(max(0.0, self.squared_deviations) / count) if count else math.nan

    def add(self, numbers: npt.NDArray[np.float64], labels: Iterable[str] | None = None) -> None:
        """Counts the results of n records, an array of shape (n,), and their labels, if they have any."""
        if labels is not None:
            self.count_labels(Counter(labels))
        finite = numbers if all_finite(numbers) else numbers[np.isfinite(numbers)]
        if len(finite):
            with np.errstate(over="ignore"):
                mean = bounded(float(finite.sum())) / len(finite)
                apart = finite - mean
                self._join(len(finite), mean, bounded(float(np.vdot(apart, apart))))
                self.numbers.add(finite)

    def count_labels(self, counts: Mapping[str, int]) -> None:
        """Counts records by their label."""
        for label, count in counts.items():
            short = shortened(label, LABEL_BYTES)
            if short in self.labels or len(self.labels) < MOST_LABELS:
                self.labels[short] = self.labels.get(short, 0) + count
            else:
                self.other_labels += count

    def merge(self, other: Results) -> None:
        """Adds the results of another report; all labels are kept, those of both."""
        for label, count in other.labels.items():
            self.labels[label] = self.labels.get(label, 0) + count
        self.other_labels += other.other_labels
        if other.numbers.count:
            self._join(other.numbers.count, other.numbers.mean, other.squared_deviations)
            self.numbers.merge(other.numbers)

    def minus(self, earlier: Results) -> Results:
        """What was counted after ``earlier``, a former state of this."""
        left = {label: count - earlier.labels.get(label, 0) for label, count in self.labels.items()}
        numbers = self.numbers.minus(earlier.numbers)
        deviations = self.squared_deviations - earlier.squared_deviations
        if numbers.count and earlier.numbers.count:
            # The opposite of `_join`.
            weight = earlier.numbers.count * numbers.count / self.numbers.count
            deviations -= (numbers.mean - earlier.numbers.mean) ** 2 * weight
        return Results(
            {label: count for label, count in left.items() if count > 0},
            max(0, self.other_labels - earlier.other_labels),
            numbers,
            bounded(max(0.0, deviations)) if numbers.count else 0.0,
        )

    def copy(self) -> Results:
        """The same results, which do not change with these."""
        return Results(dict(self.labels), self.other_labels, self.numbers.copy(), self.squared_deviations)

    def frequent(self, most: int = MOST_LABELS) -> list[tuple[str, int]]:
        """The most frequent labels, the most frequent one first, equally frequent ones by name."""
        return heapq.nsmallest(most, self.labels.items(), key=lambda item: (-item[1], item[0]))

    def histogram(self, bars: int = 20) -> list[Bar]:
        """At most ``bars`` bars of equal width from the smallest to the greatest number.

        Each bucket of the sketch is in the bar of its centre, so a bar is exact up to 1 % of its limits.
        """
        numbers = self.numbers
        if not numbers.count:
            return []
        low, high = numbers.minimum, numbers.maximum
        # Divided before they are subtracted, so that the width of huge numbers is finite.
        width = high / bars - low / bars
        if not width:
            return [Bar(low, high, numbers.count)]
        counts = [0] * bars
        for lower, upper, count in numbers.sketch.buckets():
            centre = min(max(lower / 2 + upper / 2, low), high)
            counts[min(bars - 1, int(centre / width - low / width))] += count
        limits = _limits(low, high, width, bars)
        return [Bar(limits[place], limits[place + 1], count) for place, count in enumerate(counts)]

    def _join(self, count: int, mean: float, deviations: float) -> None:
        """Adds the squared deviations of more numbers, before they are counted.

        Chan, Golub, LeVeque: Algorithms for computing the sample variance, 1983.
        """
        mine = self.numbers.count
        total = self.squared_deviations + deviations
        if mine:
            # Not ** 2, which raises an error where the product is infinite.
            apart = mean - self.numbers.mean
            total += apart * apart * (mine * count / (mine + count))
        self.squared_deviations = bounded(total)


def _limits(low: float, high: float, width: float, bars: int) -> Sequence[float]:
    # In halves where a product would be infinite, although the limit, beginning far below zero, is not.
    scale = 2 if math.isinf(width * bars) else 1
    return [*((low / scale + width / scale * place) * scale for place in range(bars)), high]
