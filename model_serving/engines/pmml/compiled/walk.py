"""Leads records through a graph of tests (see ``graph``) to its leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from model_serving.engines.pmml.compiled.fields import Numbers

__all__ = ["Walk"]

_Indices = npt.NDArray[np.intp]

_FEW = 100
"""Up to this number of walks plain Python is faster than numpy: each numpy call takes a microsecond."""

_MOST_IN_LISTS = 200_000
"""The greatest number of steps that are kept as Python lists too, which take about 130 bytes a step."""

_AT_A_TIME = 4
"""The number of levels that are walked before checking which walks have reached a leaf."""


class Walk:
    """Steps in arrays. Indices below ``steps`` are tests, the others are leaves and lead to themselves."""

    def __init__(
        self, columns: _Indices, thresholds: Numbers, ways: _Indices, roots: _Indices, steps: int
    ) -> None:
        """Creates the walk. ``ways``, shape (steps + leaves, 3), has the next index: low, high, unknown."""
        self._columns = columns
        self._thresholds = thresholds
        self._ways = np.ascontiguousarray(ways).reshape(-1)
        self._roots = roots
        self._steps = steps
        self._one_by_one: tuple[list[int], list[float], list[int], list[int], list[int]] | None = None
        if steps <= _MOST_IN_LISTS:
            low, high, unknown = (ways[:steps, way].tolist() for way in range(3))
            self._one_by_one = (columns[:steps].tolist(), thresholds[:steps].tolist(), low, high, unknown)

    def leaves(self, values: Numbers) -> _Indices:
        """Returns every record's leaf in every tree: shape (trees, n) for values of shape (n, columns)."""
        n, trees = len(values), len(self._roots)
        if self._one_by_one is not None and n * trees <= _FEW:
            return self._leaves_one_by_one(values)
        width = values.shape[1]
        at = np.repeat(self._roots, n)
        offsets = np.tile(np.arange(0, n * width, width), trees)
        self._advance(at, offsets, values.reshape(-1), with_missing=bool(np.isnan(values).any()))
        at -= self._steps
        return at.reshape(trees, n)

    def _advance(self, at: _Indices, offsets: _Indices, values: Numbers, *, with_missing: bool) -> None:
        """Moves every walk in ``at`` to its leaf, in place."""
        columns, thresholds, ways = self._columns, self._thresholds, self._ways
        current, active = at, None
        while True:
            for _ in range(_AT_A_TIME):
                place = columns.take(current)
                place += offsets
                value = values.take(place)
                way = value > thresholds.take(current)
                current = current * 3
                current += way
                if with_missing:
                    current += np.isnan(value) * 2
                current = ways.take(current)
            if active is None:
                at[:] = current
            else:
                at[active] = current
            walking = np.flatnonzero(current < self._steps)
            if not len(walking):
                return
            if 2 * len(walking) < len(current):
                active = walking if active is None else active[walking]
                current, offsets = current[walking], offsets[walking]

    def _leaves_one_by_one(self, values: Numbers) -> _Indices:
        columns, thresholds, lows, highs, unknowns = self._one_by_one or ([], [], [], [], [])
        steps = self._steps
        rows = values.tolist()
        leaves = []
        for root in self._roots.tolist():
            for row in rows:
                at = root
                while at < steps:
                    value = row[columns[at]]
                    if value <= thresholds[at]:
                        at = lows[at]
                    elif value != value:
                        at = unknowns[at]
                    else:
                        at = highs[at]
                leaves.append(at - steps)
        return np.array(leaves, dtype=np.intp).reshape(len(self._roots), len(rows))
