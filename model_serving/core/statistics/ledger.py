"""The statistics of every version that one instance serves or has served, of bounded size."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from model_serving.core.engine import Columns
from model_serving.core.messages import ModelToServe
from model_serving.core.statistics.few import FewRecords
from model_serving.core.statistics.report import VersionStatistics
from model_serving.core.statistics.watch import LEAST_REFERENCE_RECORDS, REFERENCE_RECORDS, FieldWatch

__all__ = ["Entry", "Ledger", "Scored"]

_FINE = 1000
"""So many versions have all statistics at a time. Further ones have coarse sketches and no fields."""

_COARSE_BUCKETS = 256
"""Buckets of a coarse sketch: numbers below a 160th of the greatest one share the lowest bucket."""

_ENDED = 1000
_ENDED_OF_TYPE = 20
"""The most versions that are remembered after they have ended, in all and of one data type."""

_UNSERVED = 1000
"""The most data types that have a report of what belongs to no version."""

_REFERENCE_NUMBERS = 4 << 20
"""When more numbers than these (32 MiB) are kept for references that are not complete, references become
complete with fewer records."""


@dataclass(slots=True, eq=False)
class Entry:
    """A version, or what belongs to no version of a data type.

    ``looks``, ``needs``, ``second`` and ``left`` are for the thread that serves: whether fields are watched,
    how many records the reference needs at the beginning, and how many records may be looked at until the
    ``second`` (epoch seconds) is over. ``few`` has the notes of small batches.
    """

    statistics: VersionStatistics
    watch: FieldWatch | None = None
    looks: bool = False
    needs: int = 0
    second: int = -1
    left: int = 0
    few: FewRecords = field(default_factory=FewRecords)


Scored = tuple[
    Entry,
    npt.NDArray[np.int64],
    int,
    int,
    npt.NDArray[np.float64],
    Sequence[str] | None,
    Columns | None,
]
"""What is kept of a scored batch until it is counted: what it is counted in, the submission timestamps, the
time when it was served, the nanoseconds of each record, the results, the labels if there are any, and the
rows whose fields are looked at. A plain tuple, because a named one takes half a microsecond longer to make.
"""


@dataclass(slots=True)
class _DataType:
    """The version that serves, the ones that have ended, the oldest first, and what belongs to no version."""

    serves: Entry | None = None
    ended: OrderedDict[str, Entry] = field(default_factory=OrderedDict)
    without: Entry | None = None


class Ledger:
    """Counts for one instance. A version that comes back goes on counting where it ended."""

    def __init__(self, run: str, instance: str, host: str) -> None:
        self._blank = VersionStatistics(run=run, instance=instance, host=host)
        self._data_types: dict[str, _DataType] = {}
        # The ended versions of all data types, the oldest first, as (data type, version).
        self._ended: OrderedDict[tuple[str, str], None] = OrderedDict()
        # By their identity, in the order in which they changed first since their last report.
        self._dirty: OrderedDict[int, Entry] = OrderedDict()
        self._watched = 0
        self._unserved = 0
        self._collected = 0

    def begin(self, model: ModelToServe, fields: tuple[str, ...], now_ms: int) -> Entry:
        """A model serves its data type from now on. Returns the entry that its records are counted in."""
        known = self._data_types.setdefault(model.data_type, _DataType())
        current = known.serves
        if current is not None and current.statistics.version == model.version:
            return current
        self.end(model.data_type, now_ms)
        entry = known.ended.pop(model.version, None)
        if entry is None:
            entry = self._new(model, fields, now_ms)
        else:
            del self._ended[model.data_type, model.version]
            entry.statistics.until = 0
        known.serves = entry
        self._touch(entry)
        return entry

    def end(self, data_type: str, now_ms: int) -> None:
        """The version that serves the data type ends."""
        known = self._data_types.get(data_type)
        if known is None or known.serves is None:
            return
        entry, known.serves = known.serves, None
        version = entry.statistics.version
        entry.statistics.until = now_ms
        known.ended[version] = entry
        self._ended[data_type, version] = None
        self._touch(entry)
        if len(known.ended) > _ENDED_OF_TYPE:
            self._forget(data_type, next(iter(known.ended)))
        if len(self._ended) > _ENDED:
            self._forget(*next(iter(self._ended)))

    def end_all(self, now_ms: int) -> None:
        """Every version ends."""
        for data_type in list(self._data_types):
            self.end(data_type, now_ms)

    def scored(self, batches: Sequence[Scored]) -> None:
        """Counts batches of one version."""
        (entry, *_), statistics = batches[0], batches[0][0].statistics
        _, instants, served, scoring, numbers, labels, rows = zip(*batches, strict=True)
        counts = np.array(list(map(len, numbers)))
        results = _joined(numbers)
        latencies = np.repeat(np.array(served, np.float64), counts) - _joined(instants)
        statistics.scored += len(results)
        statistics.latency.add_whole(latencies)
        statistics.scoring.add(np.array(scoring) / 1e6, counts)
        if labels[0] is not None or any(labels):
            given = (one for one in labels if one is not None)
            statistics.results.count_labels(Counter(chain.from_iterable(given)))
        statistics.results.add(results)
        self._look(entry, [one for one in rows if one is not None])
        self._touch(entry)

    def scored_few(self, entry: Entry) -> None:
        """Counts the small batches of a version that were noted since this was asked last."""
        numbers, labels, rows = entry.few.take()
        statistics = entry.statistics
        statistics.scored += len(numbers)
        statistics.latency.add_whole(numbers[:, 0])
        statistics.results.add(numbers[:, 1])
        statistics.scoring.add(numbers[:, 2] / 1e6)
        if labels:
            statistics.results.count_labels(Counter(labels))
        self._look(entry, rows)
        self._touch(entry)

    def failed(self, entry: Entry, count: int, missing: int) -> None:
        """Counts records that a version could not score."""
        entry.statistics.failed += count
        entry.statistics.missing += missing
        self._touch(entry)

    def without_model(self, data_type: str, count: int) -> None:
        """Counts records without a model."""
        entry = self._without(data_type)
        entry.statistics.without_model += count
        self._touch(entry)

    def letter(self, data_type: str, version: str, reason: str) -> None:
        """Counts a dead letter: for the version, if it serves or has served here, else for the data type."""
        known = self._data_types.get(data_type)
        entry = None
        if known is not None and version:
            serves = known.serves
            if serves is not None and serves.statistics.version == version:
                entry = serves
            else:
                entry = known.ended.get(version)
        if entry is None:
            entry = self._without(data_type)
        letters = entry.statistics.dead_letters
        letters[reason] = letters.get(reason, 0) + 1
        self._touch(entry)

    def changed(self, most: int, now_ms: int) -> list[VersionStatistics]:
        """At most ``most`` reports of what has changed, the longest ago first; they are copies."""
        reports: list[VersionStatistics] = []
        while self._dirty and len(reports) < most:
            _, entry = self._dirty.popitem(last=False)
            reports.append(_report(entry, now_ms))
        return reports

    def touch_all(self) -> None:
        """Lets everything that is remembered count as changed."""
        for known in self._data_types.values():
            for entry in (known.serves, known.without, *known.ended.values()):
                if entry is not None:
                    self._touch(entry)

    def _new(self, model: ModelToServe, fields: tuple[str, ...], now_ms: int) -> Entry:
        statistics = replace(
            _fresh(self._blank),
            data_type=model.data_type,
            name=model.name,
            version=model.version,
            model_type=int(model.model_type),
            sha256=model.sha256,
            since=now_ms,
        )
        if self._watched >= _FINE:
            for distribution in (statistics.scoring, statistics.latency, statistics.results.numbers):
                distribution.sketch.most = _COARSE_BUCKETS
            return Entry(statistics)
        self._watched += 1
        watch = FieldWatch(fields, model.reference)
        return Entry(statistics, watch, looks=bool(fields), needs=watch.needs)

    def _without(self, data_type: str) -> Entry:
        """The entry of what belongs to no version: beyond a thousand data types, one for all others."""
        known = self._data_types.get(data_type)
        if known is not None and known.without is not None:
            return known.without
        if data_type and self._unserved >= _UNSERVED:
            return self._without("")
        if known is None:
            known = self._data_types[data_type] = _DataType()
        self._unserved += 1
        known.without = Entry(replace(_fresh(self._blank), data_type=data_type))
        return known.without

    def _look(self, entry: Entry, rows: Sequence[Columns]) -> None:
        watch = entry.watch
        if watch is None or not rows:
            return
        before = watch.size
        # Only references that are not complete take memory.
        enough = LEAST_REFERENCE_RECORDS if self._collected > _REFERENCE_NUMBERS else REFERENCE_RECORDS
        watch.add(rows[0] if len(rows) == 1 else np.concatenate(rows), enough=enough)
        entry.needs = watch.needs
        self._collected += watch.size - before

    def _forget(self, data_type: str, version: str) -> None:
        del self._ended[data_type, version]
        known = self._data_types[data_type]
        entry = known.ended.pop(version)
        # Its last report may not have been made; it is made from what is in `_dirty`.
        if entry.watch is not None:
            self._watched -= 1
            self._collected -= entry.watch.size
        if known.serves is None and known.without is None and not known.ended:
            del self._data_types[data_type]

    def _touch(self, entry: Entry) -> None:
        self._dirty.setdefault(id(entry), entry)


def _joined(parts: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
    return np.concatenate(parts, dtype=np.float64)


def _fresh(blank: VersionStatistics) -> VersionStatistics:
    return VersionStatistics(run=blank.run, instance=blank.instance, host=blank.host)


def _report(entry: Entry, now_ms: int) -> VersionStatistics:
    statistics = entry.statistics
    return replace(
        statistics,
        ts=now_ms,
        dead_letters=dict(statistics.dead_letters),
        scoring=statistics.scoring.copy(),
        latency=statistics.latency.copy(),
        results=statistics.results.copy(),
        fields=entry.watch.fields() if entry.watch is not None else [],
    )
