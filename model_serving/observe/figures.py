"""The figures of versions for a monitoring system, which asks for all of them every few seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from model_serving.core.statistics.distribution import Distribution
from model_serving.observe.sources import StatisticsFold
from model_serving.observe.summaries import Drift
from model_serving.observe.values import Standing

__all__ = ["Figures", "figures_of"]


@dataclass(frozen=True, slots=True)
class Figures:
    """What a version has counted since it began to serve; times are in milliseconds.

    ``since`` is epoch milliseconds, 0 if the status topic says nothing of it. ``drift_now`` computes the
    drift, which takes a thousand times longer than the rest: see ``drift`` and ``drifted``.
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
    drift_now: Callable[[], Drift] = lambda: (None, None)

    @property
    def drift(self) -> float | None:
        """The greatest population stability index of the fields; None without one, or if it does not serve.

        It is told from the records of the last ten to twenty minutes; if these are too few, from all.
        """
        return self.drift_now()[0]

    @property
    def drifted(self) -> int | None:
        """How many of the fields have drifted; None where ``drift`` is."""
        return self.drift_now()[1]


def figures_of(
    data_type: str, standing: Standing, statistics: StatisticsFold, drift_of: Callable[[str], Drift]
) -> tuple[Figures, ...]:
    """Returns the figures of each version with statistics, and of the version that serves.

    ``drift_of`` gives the drift of a version.
    """
    now = standing.now if standing.now is not None and standing.now.state == "ACTIVE" else None
    changes = {change.version: change for change in standing.changes if change.state == "ACTIVE"}
    found = []
    for version, counts in sorted(statistics.versions.items()):
        if not version:
            continue
        change, serves = changes.get(version), now is not None and now.version == version
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
                *([partial(drift_of, version)] if serves else []),
            )
        )
    if now is not None and now.version not in statistics.versions:
        nothing = Distribution()
        found.append(Figures(data_type, now.version, now.name, True, now.since, 0, 0, 0, nothing, nothing))
    return tuple(found)
