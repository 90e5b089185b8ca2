"""The figures of versions for a monitoring system, which asks for all of them every few seconds."""

from __future__ import annotations

from dataclasses import dataclass

from model_serving.core.statistics.distribution import Distribution
from model_serving.observe.answers import Version
from model_serving.observe.sources import StatisticsFold
from model_serving.observe.summaries import Counted
from model_serving.observe.values import Standing

__all__ = ["Figures", "figures_of"]


@dataclass(frozen=True, slots=True)
class Figures:
    """What a version has counted since it began to serve; times are in milliseconds.

    ``since`` is epoch milliseconds, 0 if the status topic says nothing of it. ``drift`` is the greatest
    population stability index of its fields, None without one, or if the version does not serve; ``drifted``
    is how many of its fields have drifted. Both are told from the records of the last ten to twenty minutes;
    if these are too few, from all.
    """

    data_type: str
    version: str
    name: str
    serves: bool
    since: int
    scored: int
    failed: int
    missing: int
    scoring: Distribution
    latency: Distribution
    drift: float | None
    drifted: int | None


def figures_of(
    data_type: str, standing: Standing, statistics: StatisticsFold, counted: Counted
) -> tuple[Figures, ...]:
    """Returns the figures of each version with statistics, and of the version that serves."""
    now = standing.now if standing.now is not None and standing.now.state == "ACTIVE" else None
    changes = {change.version: change for change in standing.changes if change.state == "ACTIVE"}
    found = []
    for version, counts in sorted(statistics.versions.items()):
        if not version:
            continue
        change, serves = changes.get(version), now is not None and now.version == version
        # Only what serves: it takes a thousand times longer than the rest.
        drift, drifted = _drift(counted.of(data_type, version, counts)) if serves else (None, None)
        found.append(
            Figures(
                data_type,
                version,
                "" if change is None else change.name,
                serves,
                0 if change is None else change.since,
                counts.scored(),
                counts.failed(),
                counts.missing(),
                counts.scoring(),
                counts.latency(),
                drift,
                drifted,
            )
        )
    if now is not None and now.version not in statistics.versions:
        nothing = Distribution()
        found.append(
            Figures(data_type, now.version, now.name, True, now.since, 0, 0, 0, nothing, nothing, None, None)
        )
    return tuple(found)


def _drift(version: Version) -> tuple[float, int] | tuple[None, None]:
    for fields in (version.lately, version.fields):
        indexes = [one.psi for one in fields if one.psi is not None]
        if indexes:
            return max(indexes), sum(one.drifted for one in fields)
    return None, None
