"""Strategies for reports of statistics, as a host makes them."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from model_serving.core.statistics.distribution import Distribution
from model_serving.core.statistics.fields import FieldStatistics, Reference
from model_serving.core.statistics.report import VersionStatistics
from model_serving.core.statistics.results import Results

__all__ = ["reports"]

_COUNTS = st.integers(0, 1 << 40)
_NUMBERS = st.lists(st.floats(0, 1e6), max_size=10)
_TEXTS = st.text(max_size=8)


def _distribution(numbers: list[float]) -> Distribution:
    distribution = Distribution()
    distribution.add(np.array(numbers, np.float64))
    return distribution


@st.composite
def _results(draw: st.DrawFn) -> Results:
    results = Results()
    numbers = draw(st.lists(st.floats(-1e9, 1e9), max_size=10))
    results.add(np.array(numbers, np.float64), draw(st.lists(_TEXTS, max_size=5)))
    return results


@st.composite
def _fields(draw: st.DrawFn) -> FieldStatistics:
    edges = tuple(sorted(draw(st.sets(st.sampled_from([-1.0, 0.5, 3.0]), max_size=3))))
    bins = st.lists(_COUNTS, min_size=len(edges) + 1, max_size=len(edges) + 1).map(tuple)
    missing = draw(st.integers(0, 100))
    reference = Reference("records", 1000, 3, 2.0, draw(bins))
    return FieldStatistics("pH", missing + draw(_COUNTS), missing, 4.5, edges, draw(bins), reference)


def reports() -> st.SearchStrategy[VersionStatistics]:
    """Any report that a host may make."""
    return st.builds(
        VersionStatistics,
        run=_TEXTS,
        instance=_TEXTS,
        host=st.sampled_from(["keyed", "server"]),
        data_type=_TEXTS,
        name=_TEXTS,
        version=_TEXTS,
        model_type=st.integers(0, 5),
        sha256=_TEXTS,
        since=_COUNTS,
        until=_COUNTS,
        ts=_COUNTS,
        scored=_COUNTS,
        failed=_COUNTS,
        missing=_COUNTS,
        without_model=_COUNTS,
        dead_letters=st.dictionaries(st.sampled_from(["NO_MODEL", "UNPARSABLE"]), st.integers(1, 1 << 40)),
        scoring=_NUMBERS.map(_distribution),
        latency=_NUMBERS.map(_distribution),
        results=_results(),
        fields=st.lists(_fields(), max_size=1),
    )
