"""The fields of the records against a reference: missing values, means, population stability index."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

__all__ = [
    "BINS",
    "DRIFT",
    "LEAST_RECORDS",
    "LEAST_REFERENCE",
    "Drift",
    "FieldStatistics",
    "Reference",
    "drift_of",
    "edges_of",
    "merged_fields",
    "noise",
    "stability_index",
]

BINS = 10
"""Bins of a reference, with about equal shares of it."""

LEAST_REFERENCE = 30
LEAST_RECORDS = 100
"""Fewer values of the reference, or of the records, say nothing about a drift."""

DRIFT = 0.25
"""The stability index from which on a field has drifted: the rule of thumb for a major shift."""

_FLOOR = 1e-4
"""An empty bin counts as this share, because the index is not defined with a share of 0."""

_NORMAL_999 = 3.0902
"""The 99.9 % quantile of the normal distribution."""


@dataclass(frozen=True, slots=True)
class Reference:
    """``source``: "examples" of the model message, or the first "records" that the version scored.

    ``count`` includes the ``missing``; ``sum`` and ``bins`` do not.
    """

    source: str
    count: int
    missing: int
    sum: float
    bins: tuple[int, ...]

    @property
    def missing_share(self) -> float:
        """The share of records without a value; NaN without records."""
        return self.missing / self.count if self.count else math.nan

    @property
    def mean(self) -> float:
        """The mean of the values; NaN without values."""
        return _mean(self.sum, self.count - self.missing)


@dataclass(frozen=True, slots=True)
class FieldStatistics:
    """A field of the records that were looked at.

    Without a ``reference`` there are no ``edges`` and no ``bins``.
    ``edges`` are ascending; bin i holds the values in (``edges[i-1]``, ``edges[i]``].
    """

    field: str
    count: int
    missing: int
    sum: float
    edges: tuple[float, ...] = ()
    bins: tuple[int, ...] = ()
    reference: Reference | None = None

    @property
    def missing_share(self) -> float:
        """The share of records without a value; NaN without records."""
        return self.missing / self.count if self.count else math.nan

    @property
    def mean(self) -> float:
        """The mean of the values; NaN without values."""
        return _mean(self.sum, self.count - self.missing)

    def plus(self, other: FieldStatistics) -> FieldStatistics:
        """Both, which have the same field, edges and reference."""
        bins = tuple(map(sum, zip(self.bins, other.bins, strict=True)))
        count, missing = self.count + other.count, self.missing + other.missing
        return replace(self, count=count, missing=missing, sum=self.sum + other.sum, bins=bins)

    def minus(self, earlier: FieldStatistics) -> FieldStatistics:
        """What was counted after ``earlier``, a former state of this with the same edges and reference."""
        bins = tuple(max(0, now - then) for now, then in zip(self.bins, earlier.bins, strict=True))
        count, missing = max(0, self.count - earlier.count), max(0, self.missing - earlier.missing)
        return replace(self, count=count, missing=missing, sum=self.sum - earlier.sum, bins=bins)

    @property
    def index(self) -> float | None:
        """The population stability index of the records against the reference.

        None if either side has too few values.
        """
        if self.reference is None or len(self.bins) < 2:
            return None
        values, referred = sum(self.bins), sum(self.reference.bins)
        if values < LEAST_RECORDS or referred < LEAST_REFERENCE:
            return None
        return stability_index(self.bins, self.reference.bins)

    @property
    def noise(self) -> float:
        """See the function ``noise``."""
        return noise(len(self.bins), sum(self.bins), sum(self.reference.bins if self.reference else ()))


@dataclass(frozen=True, slots=True)
class Drift:
    """How far a field is from its reference, over all reports about it.

    ``index`` is the population stability index; None if there are too few values. ``drifted``: it is at least
    ``DRIFT``, and more than chance explains.
    """

    field: str
    count: int
    missing_share: float
    mean: float
    source: str
    reference_count: int
    reference_missing_share: float
    reference_mean: float
    index: float | None
    drifted: bool


def edges_of(values: npt.NDArray[np.float64]) -> tuple[float, ...]:
    """The inner limits of ``BINS`` bins with about equal shares of the values, which are finite.

    There are fewer limits where many values are equal; a single value has a bin of its own.
    """
    if not len(values):
        return ()
    shares = np.arange(1, BINS) / BINS
    edges = np.unique(np.quantile(values, shares, method="inverted_cdf"))
    if len(edges) == 1:
        edges = np.array([np.nextafter(edges[0], -np.inf), edges[0]])
    return tuple(edge for edge in edges.tolist() if math.isfinite(edge))


def stability_index(bins: Sequence[int], reference: Sequence[int]) -> float:
    """The population stability index: Σ (p - q) · ln(p / q) over the bins' shares, each at least 0.0001.

    0: the shares are equal; below 0.1: no shift; from 0.25 on: a major shift.
    """
    total, referred = sum(bins), sum(reference)
    index = 0.0
    for count, expected in zip(bins, reference, strict=True):
        p, q = max(count / total, _FLOOR), max(expected / referred, _FLOOR)
        index += (p - q) * math.log(p / q)
    return index


def noise(bins: int, values: int, referred: int) -> float:
    """The index that 999 of 1,000 samples without any drift stay below.

    Without drift the index is distributed as (1/values + 1/referred) · χ² with bins - 1 degrees of freedom
    (Yurdakul, Naranjo: Statistical properties of the population stability index, 2020); the quantile of χ² is
    the approximation of Wilson and Hilferty.
    """
    if bins < 2 or not values or not referred:
        return math.inf
    degrees = bins - 1
    spread = 2 / (9 * degrees)
    chi_squared = degrees * (1 - spread + _NORMAL_999 * math.sqrt(spread)) ** 3
    return float((1 / values + 1 / referred) * chi_squared)


def merged_fields(fields: Iterable[FieldStatistics]) -> list[FieldStatistics]:
    """Adds up what has the same field, edges and reference; everything else stays beside each other."""
    merged: dict[tuple[str, tuple[float, ...], Reference | None], FieldStatistics] = {}
    for one in fields:
        key = (one.field, one.edges, one.reference)
        merged[key] = merged[key].plus(one) if key in merged else one
    return list(merged.values())


def drift_of(fields: Iterable[FieldStatistics]) -> list[Drift]:
    """One drift for each field, in the fields' order.

    Reports with different references cannot be added up: their indices, and whatever is told of the
    references, are averaged, weighted by the number of records.
    """
    by_field: dict[str, list[FieldStatistics]] = {}
    for one in merged_fields(fields):
        by_field.setdefault(one.field, []).append(one)
    return [_drift(name, parts) for name, parts in by_field.items()]


def _drift(name: str, parts: Sequence[FieldStatistics]) -> Drift:
    count, missing = sum(part.count for part in parts), sum(part.missing for part in parts)
    known = [(part, part.count, part.index) for part in parts if part.index is not None]
    weight = sum(one for _, one, _ in known)
    index = noise_level = None
    if weight:
        index = sum(one * count for _, count, one in known) / weight
        noise_level = sum(part.noise * count for part, count, _ in known) / weight
    references = [(part.reference, part.count) for part in parts if part.reference is not None]
    return Drift(
        field=name,
        count=count,
        missing_share=missing / count if count else math.nan,
        mean=_mean(sum(part.sum for part in parts), count - missing),
        source=" and ".join(sorted({reference.source for reference, _ in references})),
        reference_count=sum(reference.count for reference, _ in references),
        reference_missing_share=_weighted([(one.missing_share, count) for one, count in references]),
        reference_mean=_weighted([(one.mean, count) for one, count in references]),
        index=index,
        drifted=index is not None and noise_level is not None and index >= max(DRIFT, noise_level),
    )


def _mean(total: float, count: int) -> float:
    return total / count if count > 0 else math.nan


def _weighted(numbers: Sequence[tuple[float, int]]) -> float:
    known = [(number, max(1, weight)) for number, weight in numbers if not math.isnan(number)]
    weight = sum(one for _, one in known)
    return sum(number * one for number, one in known) / weight if weight else math.nan
