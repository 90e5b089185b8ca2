"""Turns folds into answers."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

from model_serving.core.statistics.distribution import Distribution
from model_serving.core.statistics.fields import FieldStatistics, drift_of
from model_serving.core.statistics.results import Results
from model_serving.observe.answers import (
    Bin,
    DataType,
    FieldDrift,
    ResultSummary,
    Summary,
    Version,
)
from model_serving.observe.sources import StatisticsFold, VersionFold
from model_serving.observe.values import Change, Standing

__all__ = [
    "Counted",
    "Drift",
    "data_type_of",
    "drifts_of",
    "results_of",
    "serving_counts",
    "summary_of",
    "versions_of",
]

_OF_CHANGE = (
    "state",
    "name",
    "version",
    "previous",
    "description",
    "model_type",
    "sha256",
    "size",
    "since",
    "load_ms",
    "subtasks",
    "detail",
)


def summary_of(one: Distribution) -> Summary:
    """Returns count, sum, extremes and percentiles."""
    if not one.count:
        return Summary()
    p50, p90, p99, p999 = one.quantiles((0.5, 0.9, 0.99, 0.999))
    return Summary(one.count, one.sum, one.minimum, one.maximum, p50, p90, p99, p999)


def results_of(one: Results) -> ResultSummary:
    """Returns labels, the most frequent one first, and what the numbers are like."""
    labels = dict(one.frequent())
    return ResultSummary(
        labels=labels,
        other_labels=one.other_labels + sum(one.labels.values()) - sum(labels.values()),
        numbers=summary_of(one.numbers),
        mean=_known(one.mean),
        deviation=_known(one.deviation),
        histogram=tuple(Bin(bar.lower, bar.upper, bar.count) for bar in one.histogram()),
    )


def drifts_of(fields: list[FieldStatistics]) -> tuple[FieldDrift, ...]:
    """Returns the drift of each field, in the fields' order."""
    return tuple(
        FieldDrift(
            field=one.field,
            count=one.count,
            missing_share=_known(one.missing_share),
            mean=_known(one.mean),
            source=one.source,
            reference_count=one.reference_count,
            reference_missing_share=_known(one.reference_missing_share),
            reference_mean=_known(one.reference_mean),
            psi=one.index,
            drifted=one.drifted,
        )
        for one in drift_of(fields)
    )


def data_type_of(
    name: str, standing: Standing, statistics: StatisticsFold, dead_letters: Mapping[str, int]
) -> DataType:
    """Returns what is known of a data type, but not its throughput, which changes with time."""
    now = standing.now
    rejected = [one for one in standing.rejections if now is None or one.ts >= now.since]
    known: dict[str, Any] = {
        "rejected": rejected[-1] if rejected else None,
        "waiting": standing.waiting,
        "dead_letters": dead_letters,
        "without_model": sum(one.without_model() for one in statistics.versions.values()),
        "heard": statistics.heard,
    }
    if now is not None:
        known |= {part: getattr(now, part) for part in _OF_CHANGE}
    if (counts := serving_counts(standing, statistics)) is not None:
        known |= {
            "scored": counts.scored(),
            "failed": counts.failed(),
            "missing": counts.missing(),
            "scoring": summary_of(counts.scoring()),
            "latency": summary_of(counts.latency()),
        }
    return DataType(name, **known)


def serving_counts(standing: Standing, statistics: StatisticsFold) -> VersionFold | None:
    """Returns the statistics of the version that serves; None if none does, or none has come."""
    now = standing.now
    return statistics.versions.get(now.version) if now is not None and now.state == "ACTIVE" else None


def versions_of(
    data_type: str, standing: Standing, statistics: StatisticsFold, now_ms: int, counted: Counted
) -> tuple[Version, ...]:
    """Returns every version that served or has statistics: first what serves, then the last one before."""
    turns = {
        change.version: (change, after)
        for change, after in zip_longest(standing.changes, standing.changes[1:])
        if change.state == "ACTIVE"
    }
    found = [
        counted.told(
            data_type,
            version,
            turns.get(version),
            statistics.versions.get(version) if version else None,
            now_ms,
        )
        for version in {**turns, **statistics.versions}
        if version or version in turns
    ]
    return tuple(sorted(found, key=lambda one: (not one.serves, -one.since, one.version)))


_Turn = tuple[Change, Change | None]
"""The change that made a version serve the last time, and the change after it if there was one."""


def _of_turn(data_type: str, version: str, turn: _Turn | None) -> Version:
    if turn is None:
        return Version(data_type, version)
    change, after = turn
    return Version(
        data_type,
        change.version,
        name=change.name,
        description=change.description,
        model_type=change.model_type,
        sha256=change.sha256,
        serves=after is None,
        since=change.since,
        until=after.since if after is not None else 0,
    )


Drift = tuple[float, int] | tuple[None, None]
"""The greatest population stability index of a version's fields, and how many of these have drifted."""

_DRIFT_MS = 30_000
"""How long a drift holds that was computed. It is told from the records of ten minutes or more."""

_DRIFTS = 20_000
"""The drift of how many versions is kept."""


class Counted:
    """What was computed of versions, as long as no report has come since: that takes milliseconds each.

    Args:
        limit: how many versions are kept; what was asked for the longest time ago is forgotten.
    """

    def __init__(self, limit: int = 256) -> None:
        self._limit = limit
        self._kept: dict[tuple[str, str], tuple[int, Version]] = {}
        self._drifts: dict[tuple[str, str], tuple[int, int, Drift]] = {}
        self._told: dict[tuple[str, str], tuple[_Turn | None, int, float, Version]] = {}

    def told(
        self, data_type: str, version: str, turn: _Turn | None, counts: VersionFold | None, now_ms: int
    ) -> Version:
        """The version with all that is known of it: the same object as before, if nothing is new."""
        rate, revision = (0.0, -1) if counts is None else (counts.rate_at(now_ms), counts.revision)
        kept = self._told.pop((data_type, version), None)
        if kept is None or kept[:3] != (turn, revision, rate):
            one = _of_turn(data_type, version, turn)
            if counts is not None:
                one = _with_counts(one, self.of(data_type, version, counts), rate)
            kept = (turn, revision, rate, one)
        self._told[data_type, version] = kept
        if len(self._told) > self._limit:
            del self._told[next(iter(self._told))]
        return kept[3]

    def drift(self, data_type: str, version: str, counts: VersionFold, now_ms: int) -> Drift:
        """The drift in the last ten to twenty minutes; of all the version's records if these are too few."""
        kept = self._drifts.get((data_type, version))
        if kept is not None and (kept[0] == counts.revision or now_ms - kept[1] < _DRIFT_MS):
            return kept[2]
        drift = _greatest(drifts_of(counts.lately().fields))
        if drift[0] is None:
            drift = _greatest(drifts_of(counts.everything().fields))
        self._drifts[data_type, version] = (counts.revision, now_ms, drift)
        if len(self._drifts) > _DRIFTS:
            del self._drifts[next(iter(self._drifts))]
        return drift

    def of(self, data_type: str, version: str, counts: VersionFold) -> Version:
        """The version with what its statistics say, without its throughput."""
        kept = self._kept.pop((data_type, version), None)
        if kept is None or kept[0] != counts.revision:
            kept = counts.revision, _counted(data_type, version, counts)
        self._kept[data_type, version] = kept
        if len(self._kept) > self._limit:
            del self._kept[next(iter(self._kept))]
        return kept[1]


def _greatest(fields: tuple[FieldDrift, ...]) -> Drift:
    indexes = [one.psi for one in fields if one.psi is not None]
    return (max(indexes), sum(one.drifted for one in fields)) if indexes else (None, None)


def _counted(data_type: str, version: str, counts: VersionFold) -> Version:
    total = counts.everything()
    return Version(
        data_type,
        version,
        name=total.name,
        model_type=total.model_type,
        sha256=total.sha256,
        since=total.since,
        until=total.until,
        scored=total.scored,
        failed=total.failed,
        missing=total.missing,
        scoring=summary_of(total.scoring),
        latency=summary_of(total.latency),
        results=results_of(total.results),
        fields=drifts_of(total.fields),
        lately=drifts_of(counts.lately().fields),
    )


def _with_counts(version: Version, total: Version, rate: float) -> Version:
    if not version.since:
        # The status topic says nothing of it.
        version = dataclasses.replace(
            version,
            name=total.name,
            model_type=total.model_type,
            sha256=total.sha256,
            since=total.since,
            until=total.until,
        )
    return dataclasses.replace(
        version,
        scored=total.scored,
        failed=total.failed,
        missing=total.missing,
        throughput=rate,
        scoring=total.scoring,
        latency=total.latency,
        results=total.results,
        fields=total.fields,
        lately=total.lately,
    )


def _known(number: float) -> float | None:
    return None if math.isnan(number) else number
