"""Folds the statistics of one data type: the last report of each instance, added up by version."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from model_serving.core.statistics.distribution import Distribution
from model_serving.core.statistics.report import VersionStatistics, merged
from model_serving.wire.statistics import decode_statistics

__all__ = ["CLOCKS_APART_MS", "Delta", "Source", "StatisticsFold", "VersionFold", "added_up"]

_LONGEST_INTERVAL_MS = 60_000
"""An instance that is quiet for longer has had nothing to report."""

_SHORTEST_SILENCE_MS = 3_000
_LONGEST_SILENCE_MS = 60_000
CLOCKS_APART_MS = 60_000
"""How far the clocks of two machines may be apart."""

_DELAY_MS = 5_000
"""How long a report may take to be read. A report that is older when it is read says nothing about now."""

_MARK_EVERY_MS = 600_000

_MOST_SETTLED = 20_000
"""How many instances of a version are remembered after they were added up."""


@dataclass(frozen=True, slots=True)
class Delta:
    """What an instance has counted in an interval of time, epoch milliseconds."""

    begin: int
    end: int
    scored: int
    failed: int
    latency: Distribution


@dataclass(slots=True)
class Source:
    """The last report of one instance about one version. What lists do not need stays in ``payload``.

    ``marks`` are at most two former reports, the older one first, ten minutes apart or more, compressed.
    ``rate`` is in records a second, over ``interval_ms``; ``heard_ms`` is when the report was read. ``live``:
    it was read about as long after the last one as it was made, so it is new whatever the clocks say.
    """

    run: str
    instance: str
    since: int
    until: int
    ts: int
    scored: int
    failed: int
    missing: int
    without_model: int
    scoring: Distribution
    latency: Distribution
    payload: bytes
    heard_ms: int
    rate: float = 0.0
    interval_ms: int = 0
    live: bool = False
    marks: tuple[tuple[int, bytes], ...] = ()

    def rate_at(self, now_ms: int) -> float:
        """The records a second, 0 as soon as reports have stopped."""
        silence = min(max(3 * self.interval_ms, _SHORTEST_SILENCE_MS), _LONGEST_SILENCE_MS)
        quiet = now_ms - self.heard_ms > silence
        old = not self.live and now_ms - self.ts > silence + _DELAY_MS
        return 0.0 if quiet or old or self.until else self.rate


_REVISIONS = itertools.count()


@dataclass(slots=True)
class VersionFold:
    """The sources of a version by run and instance.

    ``settled`` adds up sources that are not kept one by one any more. ``revision`` is another number,
    unique in this process, after each report.
    """

    sources: dict[tuple[str, str], Source] = field(default_factory=dict)
    settled: VersionStatistics | None = None
    settled_keys: dict[int, None] = field(default_factory=dict)
    revision: int = field(default_factory=lambda: next(_REVISIONS))

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def ts(self) -> int:
        """When the newest report was made."""
        newest = self.settled.ts if self.settled else 0
        return max([newest, *(source.ts for source in self.sources.values())])

    def scored(self) -> int:
        """Records with a result."""
        return sum(one.scored for one in self._parts())

    def failed(self) -> int:
        """Records that the version could not score."""
        return sum(one.failed for one in self._parts())

    def missing(self) -> int:
        """Records that were refused because of a missing value."""
        return sum(one.missing for one in self._parts())

    def without_model(self) -> int:
        """Records without a model."""
        return sum(one.without_model for one in self._parts())

    def scoring(self) -> Distribution:
        """Milliseconds in the model."""
        return added_up(one.scoring for one in self._parts())

    def latency(self) -> Distribution:
        """Milliseconds from the record's timestamp to its result."""
        return added_up(self.latencies())

    def latencies(self) -> list[Distribution]:
        """The parts that ``latency`` adds up. They do not change any more."""
        return [one.latency for one in self._parts()]

    def rate_at(self, now_ms: int) -> float:
        """The records a second of all sources."""
        return sum(one.rate_at(now_ms) for _, one in sorted(self.sources.items()))

    def everything(self) -> VersionStatistics:
        """All statistics of the version, added up."""
        reports = [decode_statistics(source.payload) for _, source in sorted(self.sources.items())]
        newest = max(reports, key=lambda one: (one.ts, one.key), default=self.settled)
        total = merged([*([self.settled] if self.settled else []), *reports])
        if newest is not None:
            # Where they differ, the sum has none.
            total.name, total.sha256, total.model_type = newest.name, newest.sha256, newest.model_type
        return total

    def lately(self) -> VersionStatistics:
        """What has come in the last ten to twenty minutes of each source, as far as its reports were read."""
        return merged(
            decode_statistics(source.payload).minus(decode_statistics(zlib.decompress(source.marks[0][1])))
            for _, source in sorted(self.sources.items())
            if source.marks
        )

    def settle(self, limit: int) -> int:
        """Adds up the oldest sources beyond the limit; returns their number as a number below 0."""
        beyond = max(len(self.sources) - limit, 0)
        oldest = sorted(self.sources.items(), key=lambda item: (item[1].ts, item[0]))[:beyond]
        for key, source in oldest:
            report = decode_statistics(source.payload)
            self.settled = merged([self.settled, report]) if self.settled else report
            self.settled_keys[hash(key)] = None
            if len(self.settled_keys) > _MOST_SETTLED:
                del self.settled_keys[next(iter(self.settled_keys))]
            del self.sources[key]
            self.revision = next(_REVISIONS)
        return -beyond

    def _parts(self) -> Iterator[Source | VersionStatistics]:
        if self.settled is not None:
            yield self.settled
        for _, source in sorted(self.sources.items()):
            yield source


def added_up(parts: Iterable[Distribution]) -> Distribution:
    """Returns the numbers of all parts together."""
    total = Distribution()
    for one in parts:
        total.merge(one)
    return total


class StatisticsFold:
    """The reports about one data type."""

    __slots__ = ("versions",)

    def __init__(self) -> None:
        self.versions: dict[str, VersionFold] = {}
        """By version; the empty one has what belongs to no version."""

    def add(self, report: VersionStatistics, payload: bytes, heard_ms: int) -> Delta | None:
        """Takes a report; returns what it adds to the last one, None if it is not new.

        A report that comes before others that are older is the last one: they are ignored.
        """
        key = (report.run, report.instance)
        version = self.versions.setdefault(report.version, VersionFold())
        known = version.sources.get(key)
        if hash(key) in version.settled_keys or (known is not None and report.ts <= known.ts):
            return None
        source = Source(
            run=report.run,
            instance=report.instance,
            since=report.since,
            until=report.until,
            ts=report.ts,
            scored=report.scored,
            failed=report.failed,
            missing=report.missing,
            without_model=report.without_model,
            scoring=report.scoring.compact(),
            latency=report.latency.compact(),
            payload=payload,
            heard_ms=heard_ms,
        )
        version.sources[key] = source
        version.revision = next(_REVISIONS)
        return _delta(known, source)

    def settle(self, limit: int) -> int:
        """Adds up the oldest sources of each version beyond the limit; their number, below 0."""
        return sum(version.settle(limit) for version in self.versions.values())

    def forget(self, limit: int, serving: str) -> None:
        """Forgets the versions with the oldest reports beyond the limit, but not what serves."""
        named = [name for name in self.versions if name not in ("", serving)]
        for name in sorted(named, key=lambda one: (self.versions[one].ts, one))[: len(self.versions) - limit]:
            del self.versions[name]

    @property
    def served(self) -> bool:
        """Whether a version has reported."""
        return any(self.versions)

    @property
    def heard(self) -> int:
        """When the newest report was made, 0 without any."""
        return max((version.ts for version in self.versions.values()), default=0)

    def rate_at(self, now_ms: int) -> float:
        """The records a second of all versions."""
        return sum(version.rate_at(now_ms) for _, version in sorted(self.versions.items()))

    def __len__(self) -> int:
        return sum(map(len, self.versions.values()))


def _delta(known: Source | None, source: Source) -> Delta:
    """What has come since the known report, or since the version began to serve; sets the rate."""
    begun_anew = known is not None and (known.scored > source.scored or known.failed > source.failed)
    if known is None or begun_anew:
        begin = max(known.ts if known is not None else 0, source.since)
        scored, failed, latency = source.scored, source.failed, source.latency
        if source.ts - begin > _LONGEST_INTERVAL_MS:
            # The first report that is read here may be about hours.
            return Delta(source.ts, source.ts, 0, 0, Distribution())
    else:
        begin = max(known.ts, source.ts - _LONGEST_INTERVAL_MS)
        scored, failed = source.scored - known.scored, source.failed - known.failed
        latency = source.latency.minus(known.latency)
        source.marks = known.marks
        if not known.marks or known.ts - known.marks[-1][0] >= _MARK_EVERY_MS:
            source.marks = (*known.marks, (known.ts, zlib.compress(known.payload)))[-2:]
        source.live = 2 * (source.heard_ms - known.heard_ms) >= source.ts - begin
    source.interval_ms = source.ts - begin
    source.rate = 1000 * scored / max(source.interval_ms, 1)
    return Delta(begin, source.ts, scored, failed, latency)
