"""What a board tells about data types, versions and their course."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from model_serving.observe.values import Change, Rejection

__all__ = [
    "Bin",
    "DataType",
    "FieldDrift",
    "Page",
    "Point",
    "ResultSummary",
    "Series",
    "Summary",
    "Swap",
    "Version",
]


@dataclass(frozen=True, slots=True)
class Summary:
    """A distribution. Count, sum and extremes are exact, percentiles are at most 1 % off; 0 without values.

    Times are in milliseconds.
    """

    count: int = 0
    sum: float = 0.0
    min: float = 0.0
    max: float = 0.0
    p50: float = 0.0
    p90: float = 0.0
    p99: float = 0.0
    p999: float = 0.0

    @property
    def mean(self) -> float:
        """The average; 0 without values."""
        return self.sum / self.count if self.count else 0.0


@dataclass(frozen=True, slots=True)
class Bin:
    """How many values are in (low, high]."""

    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True)
class ResultSummary:
    """The results of a version: labels of a classifier, and the numbers of every model.

    ``histogram`` has bins of equal width between the extremes, ``deviation`` is the standard deviation (of
    all numbers, not estimated). Without numbers, ``mean`` and ``deviation`` are None.
    """

    labels: Mapping[str, int] = field(default_factory=dict)
    other_labels: int = 0
    numbers: Summary = Summary()
    mean: float | None = None
    deviation: float | None = None
    histogram: tuple[Bin, ...] = ()


@dataclass(frozen=True, slots=True)
class FieldDrift:
    """A field of the records against its reference.

    ``source`` says what the reference is: "examples", "records", or nothing as long as there is none. ``psi``
    is the population stability index; None if there are too few values. ``drifted``: the index is 0.25 or
    more, and more than chance explains. Shares are from 0 to 1. What cannot be told without values is None.
    """

    field: str
    count: int
    missing_share: float | None = None
    mean: float | None = None
    source: str = ""
    reference_count: int = 0
    reference_missing_share: float | None = None
    reference_mean: float | None = None
    psi: float | None = None
    drifted: bool = False


@dataclass(frozen=True, slots=True)
class Version:
    """A version with its statistics, over all instances and runs that have served it.

    ``since`` is when it began to serve the last time, ``until`` when that ended, epoch milliseconds; 0: it
    serves, or it is not known. ``throughput`` is in records a second. ``fields`` are told from all records,
    ``lately`` from those of the last ten to twenty minutes, as far as their reports were read.
    """

    data_type: str
    version: str
    name: str = ""
    description: str = ""
    model_type: int = 0
    sha256: str = ""
    serves: bool = False
    since: int = 0
    until: int = 0
    scored: int = 0
    failed: int = 0
    missing: int = 0
    throughput: float = 0.0
    scoring: Summary = Summary()
    latency: Summary = Summary()
    results: ResultSummary = ResultSummary()
    fields: tuple[FieldDrift, ...] = ()
    lately: tuple[FieldDrift, ...] = ()


@dataclass(frozen=True, slots=True)
class DataType:
    """A data type: what serves it, how fast and how well.

    ``state`` is ACTIVE, REMOVED, or NONE if no model was ever accepted. ``scored``, ``failed``, ``missing``,
    ``scoring`` and ``latency`` are of the version that serves; ``throughput`` (records a second) and
    ``without_model`` of all. ``rejected`` is the last rejection since the model began to serve.
    ``dead_letters`` has a number for each reason. ``heard`` is when the last report was made. Instants are
    epoch milliseconds.
    """

    data_type: str
    state: str = "NONE"
    name: str = ""
    version: str = ""
    previous: str = ""
    description: str = ""
    model_type: int = 0
    sha256: str = ""
    size: int = 0
    since: int = 0
    load_ms: float = 0.0
    subtasks: tuple[int, ...] = ()
    detail: str = ""
    rejected: Rejection | None = None
    waiting: int = 0
    throughput: float = 0.0
    scored: int = 0
    failed: int = 0
    missing: int = 0
    without_model: int = 0
    scoring: Summary = Summary()
    latency: Summary = Summary()
    dead_letters: Mapping[str, int] = field(default_factory=dict)
    heard: int = 0

    @property
    def dead(self) -> int:
        """The dead letters of all reasons."""
        return sum(self.dead_letters.values())


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list of data types; ``total`` is how many the whole list has."""

    total: int
    offset: int
    data_types: tuple[DataType, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """What happened in the interval that begins at ``ts``, epoch milliseconds.

    ``throughput`` and ``failed`` are records a second; ``p50`` and ``p99`` are of the latency, milliseconds.
    """

    ts: int
    throughput: float
    failed: float
    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Swap:
    """A mark on the axis of time: the data type changed to this version, or to none."""

    ts: int
    change: Change


@dataclass(frozen=True, slots=True)
class Series:
    """The course of a data type, the oldest point first. Intervals without a report have no point."""

    data_type: str
    interval_s: int
    points: tuple[Point, ...]
    swaps: tuple[Swap, ...]
