"""Decision trees as one graph: the steps that lead a record to a leaf.

A step is a comparison ``value > threshold`` with three ways on (low, high, and one for a missing value), or a
switch with a way on for each value of a field that the trees name. All of PMML's predicates and strategies
that lead a record to a single node can be written as such steps.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.data_types import BOOLEAN
from model_serving.engines.pmml.evaluator.models.walk import Coded, Walk
from model_serving.engines.pmml.evaluator.predicates import (
    Always,
    AsField,
    Comparison,
    Compound,
    MissingTest,
    SetTest,
)
from model_serving.engines.pmml.evaluator.reading import Unsupported

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from model_serving.engines.pmml.evaluator.batch import Rows
    from model_serving.engines.pmml.evaluator.predicates import Predicate
    from model_serving.engines.pmml.evaluator.scope import Field, Program
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["Graph"]

_MOST_STEPS = 20_000_000
_MOST_WAYS = 30_000_000
"""The greatest number of ways on, of all steps together: 8 bytes each."""

_DEEPEST = 3
"""Compound predicates inside of each other become steps up to this depth: each level may double them."""


class Graph:
    """Collects steps and leaves under labels. A label may be used before it is given a meaning."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._labels = 0
        self._aliases: dict[int, int] = {}
        self._leaves = array("q")
        self._columns: dict[Field, int] = {}
        # Arrays, because lists of millions of numbers would take long to turn into arrays at the end.
        self._steps, self._tested, self._ways = array("q"), array("q"), array("q")
        self._thresholds = array("d")
        self._switches: list[tuple[int, Field, Mapping[float, int], int, int]] = []
        self._named: dict[Field, set[float]] = {}

    def label(self) -> int:
        """Returns a new label.

        Raises:
            Unsupported: the model needs too many steps.
        """
        if self._labels > _MOST_STEPS:
            raise Unsupported(f"a tree of more than {_MOST_STEPS:,} steps")
        self._labels += 1
        return self._labels - 1

    def labels(self, count: int) -> Rows:
        """Returns new labels (see ``label``), shape (count,)."""
        first = self.label()
        self._labels += count - 1
        return np.arange(first, first + count)

    def leaf(self, label: int) -> None:
        """Makes the label a leaf. Leaves are numbered in the order of these calls."""
        self._leaves.append(label)

    def leaves(self, labels: Rows) -> None:
        """Makes each of the labels a leaf (see ``leaf``)."""
        self._leaves.frombytes(_bytes(labels, np.int64))

    def goto(self, label: int, other: int) -> None:
        """Makes the label another name for the label ``other``."""
        self._aliases[label] = other

    def compare(self, label: int, field: Field, threshold: float, ways: tuple[int, int, int]) -> None:
        """Makes the label a comparison: ``ways`` are for at most the threshold, for more, and for missing."""
        self._steps.append(label)
        self._tested.append(self._column(field))
        self._thresholds.append(threshold)
        self._ways.extend(ways)

    def compare_all(
        self, labels: Rows, fields: Sequence[Field], ranks: Rows, thresholds: Numbers, ways: Rows
    ) -> None:
        """Makes each of the labels a comparison (see ``compare``).

        Args:
            labels: shape (n,).
            fields: the fields that are compared.
            ranks: the place of each label's field among these, shape (n,).
            thresholds: shape (n,).
            ways: shape (n, 3).
        """
        columns = np.array([self._column(field) for field in fields])
        self._steps.frombytes(_bytes(labels, np.int64))
        self._tested.frombytes(_bytes(columns[ranks], np.int64))
        self._thresholds.frombytes(_bytes(thresholds, np.float64))
        self._ways.frombytes(_bytes(ways, np.int64))

    def switch(self, label: int, field: Field, ways: Mapping[float, int], other: int, unknown: int) -> None:
        """Makes the label a switch: the way for each value, for other values, and for a missing value."""
        self._switches.append((label, field, ways, other, unknown))
        self._named.setdefault(field, set()).update(ways)

    def test(self, label: int, predicate: Predicate, true: int, false: int, unknown: int) -> None:
        """Makes the label a test of a predicate."""
        self._test(label, predicate, true, false, unknown, 0)

    def walk(self, roots: Sequence[int], failing: int | None = None) -> Walk:
        """Returns the graph in arrays. Walks begin at the labels ``roots``; ``failing``: see ``Walk``.

        Raises:
            Unsupported: its tables would be too large.
        """
        coded = {field: Coded(field, np.array(sorted(named))) for field, named in self._named.items()}
        compared, steps = len(self._steps), len(self._steps) + len(self._switches)
        total = steps + len(self._leaves)
        places = self._places(steps)
        sizes = [len(coded[one[1]].values) + 2 for one in self._switches]
        if sum(sizes) > _MOST_WAYS:
            raise Unsupported(f"trees with categories of which the tables have {sum(sizes):,} places")
        starts = 3 * compared + np.cumsum([0, *sizes])
        ways = np.empty(starts[-1] + 3 * len(self._leaves), dtype=np.intp)
        ways[: 3 * compared] = places[np.asarray(self._ways)]
        columns = np.zeros(total, dtype=np.intp)
        columns[:compared] = np.asarray(self._tested)
        thresholds = np.full(total, np.inf)
        thresholds[:compared] = np.asarray(self._thresholds)
        bases = np.empty(total, dtype=np.intp)
        bases[:compared] = np.arange(0, 3 * compared, 3)
        first = {field: max(1, len(self._columns)) + rank for rank, field in enumerate(coded)}
        for rank, (_, field, named, other, unknown) in enumerate(self._switches):
            start, values = starts[rank], coded[field].values
            row = np.full(len(values) + 2, other, dtype=np.intp)
            row[np.searchsorted(values, list(named))] = list(named.values())
            row[-1] = unknown
            ways[start : start + len(row)] = places[row]
            columns[compared + rank] = first[field]
            bases[compared + rank] = start
        bases[steps:] = np.arange(starts[-1], len(ways), 3)
        ways[starts[-1] :] = np.repeat(np.arange(steps, total), 3)
        return Walk(
            tuple(self._columns),
            tuple(coded.values()),
            columns,
            thresholds,
            bases,
            ways,
            places[list(roots)],
            steps,
            failing,
        )

    def _column(self, field: Field) -> int:
        column = self._columns.get(field)
        if column is None:
            column = self._columns[field] = len(self._columns)
        return column

    def _places(self, steps: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
        """Returns the index of every label: comparisons first, then switches, then leaves."""
        places = np.full(self._labels, -1, dtype=np.intp)
        places[np.asarray(self._steps)] = np.arange(len(self._steps))
        places[[one[0] for one in self._switches]] = np.arange(len(self._steps), steps)
        places[np.asarray(self._leaves)] = np.arange(steps, steps + len(self._leaves))
        for label, other in self._aliases.items():
            target = other
            while target in self._aliases:
                target = self._aliases[target]
            places[label] = places[target]
        return places

    def _test(
        self, label: int, predicate: Predicate, true: int, false: int, unknown: int, depth: int
    ) -> None:
        if isinstance(predicate, Comparison):
            threshold, operator = predicate.value, predicate.operator
            if operator in {"lessThan", "greaterOrEqual"}:
                threshold = float(np.nextafter(threshold, -np.inf))
            low, high = (true, false) if operator.startswith("less") else (false, true)
            self.compare(label, predicate.field, threshold, (low, high, unknown))
        elif isinstance(predicate, SetTest):
            inside, outside = (false, true) if predicate.negated else (true, false)
            self.switch(label, predicate.field, dict.fromkeys(predicate.values, inside), outside, unknown)
        elif isinstance(predicate, MissingTest):
            missing, present = (false, true) if predicate.negated else (true, false)
            self.compare(label, predicate.field, 0.0, (present, present, missing))
        elif isinstance(predicate, Always):
            self.goto(label, true if predicate.truth else false)
        elif isinstance(predicate, Compound) and predicate.operator != "xor" and depth < _DEEPEST:
            self._test_compound(label, predicate, (true, false, unknown), depth)
        else:
            # Everything else is computed for the whole batch, as a field.
            field = self._program.field("", BOOLEAN, AsField(predicate))
            self.compare(label, field, 0.5, (false, true, unknown))

    def _test_compound(self, label: int, predicate: Compound, to: tuple[int, int, int], depth: int) -> None:
        """Adds the parts one after the other. The second lane is for records with an unknown part before."""
        true, false, unknown = to
        lanes = {0: label}
        for index, part in enumerate(predicate.parts):
            following: dict[int, int] = {}
            is_last = index == len(predicate.parts) - 1
            for lane, here in lanes.items():
                if predicate.operator == "surrogate":
                    after = unknown if is_last else self._label_for(following, 0)
                    self._test(here, part, true, false, after, depth + 1)
                    continue
                decided, open_end = (true, false) if predicate.operator == "or" else (false, true)
                if is_last:
                    certain, uncertain = (open_end, unknown) if lane == 0 else (unknown, unknown)
                else:
                    certain = self._label_for(following, lane)
                    uncertain = self._label_for(following, 1)
                if predicate.operator == "or":
                    self._test(here, part, decided, certain, uncertain, depth + 1)
                else:
                    self._test(here, part, certain, decided, uncertain, depth + 1)
            lanes = following

    def _label_for(self, labels: dict[int, int], lane: int) -> int:
        if lane not in labels:
            labels[lane] = self.label()
        return labels[lane]


def _bytes(values: Rows | Numbers, kind: type[np.int64 | np.float64]) -> bytes:
    return np.asarray(values, dtype=kind).tobytes()
