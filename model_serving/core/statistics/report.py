"""A report: what one instance of a host has counted for one version of a data type."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from model_serving.core.statistics.distribution import Distribution
from model_serving.core.statistics.fields import FieldStatistics, merged_fields
from model_serving.core.statistics.results import Results

__all__ = ["VersionStatistics", "merged"]

_NAMES = ("run", "instance", "host", "data_type", "name", "version", "sha256")


@dataclass(slots=True)
class VersionStatistics:
    """The counts since the version began to serve, see ``protos/statistics.proto``.

    ``run``, ``instance``, ``data_type`` and ``version`` are the key. ``since``, ``until`` and ``ts`` are
    epoch milliseconds; an ``until`` of 0: the version serves. A report whose ``version`` is empty is about
    records without a model, one whose ``data_type`` is empty, too, about messages that belong to no data
    type.
    ``model_type`` is the number on the wire. ``scoring`` and ``latency`` are milliseconds.
    """

    run: str = ""
    instance: str = ""
    host: str = ""
    data_type: str = ""
    name: str = ""
    version: str = ""
    model_type: int = 0
    sha256: str = ""
    since: int = 0
    until: int = 0
    ts: int = 0
    scored: int = 0
    failed: int = 0
    missing: int = 0
    without_model: int = 0
    dead_letters: dict[str, int] = field(default_factory=dict)
    scoring: Distribution = field(default_factory=Distribution)
    latency: Distribution = field(default_factory=Distribution)
    results: Results = field(default_factory=Results)
    fields: list[FieldStatistics] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What the newest report replaces the former ones of."""
        return self.run, self.instance, self.data_type, self.version

    def minus(self, earlier: VersionStatistics) -> VersionStatistics:
        """What was counted after ``earlier``, a former report with the same key.

        Rates and recent quantiles come from the difference of two reports.
        If this report counts less, it has begun anew, and all of it came after ``earlier``.
        """
        if earlier.scored > self.scored or earlier.failed > self.failed:
            return self
        parts = {(one.field, one.edges, one.reference): one for one in earlier.fields}
        return replace(
            self,
            scored=self.scored - earlier.scored,
            failed=self.failed - earlier.failed,
            missing=max(0, self.missing - earlier.missing),
            without_model=max(0, self.without_model - earlier.without_model),
            dead_letters={
                reason: count - earlier.dead_letters.get(reason, 0)
                for reason, count in self.dead_letters.items()
                if count > earlier.dead_letters.get(reason, 0)
            },
            scoring=self.scoring.minus(earlier.scoring),
            latency=self.latency.minus(earlier.latency),
            results=self.results.minus(earlier.results),
            fields=[
                one.minus(parts[key]) if (key := (one.field, one.edges, one.reference)) in parts else one
                for one in self.fields
            ],
        )


def merged(reports: Iterable[VersionStatistics]) -> VersionStatistics:
    """The sum of reports, such as those of all instances and runs about one version.

    Names that are not the same in all reports are empty. ``since`` is the first one, ``until`` the last one,
    or 0 if the version serves in one of them; ``ts`` is the newest. Fields with different references stay
    beside each other, see ``fields.drift_of``. The reports do not change. Without reports, everything is 0.
    """
    total: VersionStatistics | None = None
    for one in reports:
        if total is None:
            total = _copy(one)
        else:
            _add(total, one)
    return total or VersionStatistics()


def _copy(one: VersionStatistics) -> VersionStatistics:
    return replace(
        one,
        dead_letters=dict(one.dead_letters),
        scoring=one.scoring.copy(),
        latency=one.latency.copy(),
        results=one.results.copy(),
        fields=merged_fields(one.fields),
    )


def _add(total: VersionStatistics, one: VersionStatistics) -> None:
    for name in _NAMES:
        if getattr(total, name) != getattr(one, name):
            setattr(total, name, "")
    if total.model_type != one.model_type:
        total.model_type = 0
    total.since = min(total.since or one.since, one.since or total.since)
    total.until = max(total.until, one.until) if total.until and one.until else 0
    total.ts = max(total.ts, one.ts)
    for name in ("scored", "failed", "missing", "without_model"):
        setattr(total, name, getattr(total, name) + getattr(one, name))
    total.dead_letters = dict(Counter(total.dead_letters) + Counter(one.dead_letters))
    total.scoring.merge(one.scoring)
    total.latency.merge(one.latency)
    total.results.merge(one.results)
    total.fields = merged_fields([*total.fields, *one.fields])
