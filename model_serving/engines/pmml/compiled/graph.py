"""Decision trees as one graph of tests: the steps that lead a record to a leaf.

Every step tests ``value <= threshold`` and has three next steps: low, high, and unknown for a missing value.
All of PMML's predicates, strategies and multi-way splits can be written as such steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.compiled.reading import NotCompiled
from model_serving.engines.pmml.compiled.walk import Walk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from model_serving.engines.pmml.compiled.fields import Numbers

__all__ = ["Graph"]

_MOST_STEPS = 20_000_000


class Graph:
    """Collects steps and leaves under labels. A label may be used before it is given a meaning."""

    def __init__(self) -> None:
        self._labels = 0
        self._aliases: dict[int, int] = {}
        self._labelled: list[int] = []
        self._columns: list[int] = []
        self._thresholds: list[float] = []
        self._low: list[int] = []
        self._high: list[int] = []
        self._unknown: list[int] = []
        self._leaves: list[int] = []

    def label(self) -> int:
        """Returns a new label.

        Raises:
            NotCompiled: the model needs too many steps.
        """
        if self._labels > _MOST_STEPS:
            raise NotCompiled(f"more than {_MOST_STEPS:,} steps")
        self._labels += 1
        return self._labels - 1

    def leaf(self, label: int) -> None:
        """Makes the label a leaf. Leaves are numbered in the order of these calls."""
        self._leaves.append(label)

    def goto(self, label: int, other: int) -> None:
        """Makes the label another name for the label ``other``."""
        self._aliases[label] = other

    def step(self, label: int, column: int, threshold: float, low: int, high: int, unknown: int) -> None:
        """Makes the label a step: the test whether a value is at most the threshold."""
        self._labelled.append(label)
        self._columns.append(column)
        self._thresholds.append(threshold)
        self._low.append(low)
        self._high.append(high)
        self._unknown.append(unknown)

    def walk(self, roots: Sequence[int]) -> Walk:
        """Returns the graph in arrays. Walks begin at the labels ``roots``."""
        steps = len(self._labelled)
        places = np.full(self._labels, -1, dtype=np.intp)
        places[self._labelled] = np.arange(steps)
        places[self._leaves] = np.arange(steps, steps + len(self._leaves))
        for label, other in self._aliases.items():
            target = other
            while target in self._aliases:
                target = self._aliases[target]
            places[label] = places[target]
        ways = np.empty((steps + len(self._leaves), 3), dtype=np.intp)
        for way, labels in enumerate((self._low, self._high, self._unknown)):
            ways[:steps, way] = places[labels]
        ways[steps:] = np.arange(steps, len(ways))[:, None]
        columns = np.zeros(len(ways), dtype=np.intp)
        columns[:steps] = self._columns
        thresholds: Numbers = np.zeros(len(ways))
        thresholds[:steps] = self._thresholds
        return Walk(columns, thresholds, ways, places[list(roots)], steps)
