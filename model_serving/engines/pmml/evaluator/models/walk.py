"""Leads records through a graph of steps (see ``graph``) to its leaves."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.batch import Gather
from model_serving.engines.pmml.evaluator.models.plain_walk import PlainWalk
from model_serving.engines.pmml.evaluator.record import Failed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from model_serving.engines.pmml.evaluator.batch import Batch, Mask, Rows
    from model_serving.engines.pmml.evaluator.record import Record
    from model_serving.engines.pmml.evaluator.scope import Field
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["Coded", "Walk"]

_FEW = 64
"""Up to this number of walks plain Python is faster than numpy: each numpy call takes a microsecond."""

_FEW_RECORDS = 8
"""Up to this number of records missing values are looked for in plain Python too."""

_MOST_IN_LISTS = 200_000
"""The greatest number of ways of which the steps are kept as Python lists too, for walks in plain Python."""

_AT_A_TIME = 4
"""The number of levels that are walked before checking which walks have reached a leaf."""

_MOST_AT_ONCE = 1 << 15
"""The greatest number of walks that are led at once, so that their arrays stay in the processor's cache."""


@dataclass(slots=True)
class Coded:
    """A field of which a value counts by its place among some values: the last two are others and missing."""

    field: Field
    values: Numbers
    places: dict[float, int] = dataclass_field(init=False)

    def __post_init__(self) -> None:
        self.places = {value: place for place, value in enumerate(self.values.tolist())}

    def code(self, value: float) -> int:
        """Returns the place of one value."""
        others = len(self.places)
        return self.places.get(value, others if value == value else others + 1)

    def codes(self, batch: Batch) -> Rows:
        """Returns the places of a batch's values, shape (n,)."""
        values = batch.value(self.field)
        count = len(self.values)
        if batch.n <= 4:
            return np.array([self.code(one) for one in values.tolist()])
        if not count:
            return np.where(np.isnan(values), 1, 0)
        found = self.values.searchsorted(values)
        np.minimum(found, count - 1, out=found)
        found[self.values.take(found) != values] = count
        found[np.isnan(values)] = count + 1
        return found


class Walk:
    """Steps in arrays. Indices below ``steps`` are steps, the others are leaves and lead to themselves."""

    def __init__(
        self,
        fields: Sequence[Field],
        coded: Sequence[Coded],
        columns: Rows,
        thresholds: Numbers,
        bases: Rows,
        ways: Rows,
        roots: Rows,
        steps: int,
        failing: int | None = None,
    ) -> None:
        """Creates the walk.

        Args:
            fields: the fields that are compared: the first columns. Without them there is a column of zeros.
            coded: the fields that are switched by: the columns after them.
            columns: the column that each step looks at, shape (steps + leaves,).
            thresholds: the threshold of each step, infinite for switches and leaves.
            bases: where the ways on of each step begin.
            ways: the indices of the next steps: for a comparison three (low, high, missing).
            roots: where the walks begin, shape (trees,).
            steps: the number of steps.
            failing: the leaf that makes a record fail, if there is one.
        """
        self._failing = failing
        self._gather = Gather(fields)
        self._fields, self._coded = tuple(fields), tuple(coded)
        # Leaves look at the first column, which must not be one that is switched by.
        self._first_coded = max(1, len(fields))
        self._width = self._first_coded + len(coded)
        self._roots, self._steps = roots, steps
        # Where no value is missing and nothing is switched by, each step has two ways on.
        two = np.stack([ways[bases], ways[bases + 1]], axis=1).reshape(-1)
        self._steps_in_arrays = (columns, thresholds, bases, ways, two)
        self._plain: PlainWalk | None = None
        if len(ways) <= _MOST_IN_LISTS:
            made = (columns, thresholds, bases, ways)
            self._plain = PlainWalk(fields, coded, made, roots.tolist(), steps)

    def leaves(self, batch: Batch) -> Rows:
        """Returns every record's leaf in every tree, shape (trees, n)."""
        made = self._leaves(batch)
        if self._failing is not None:
            failing = (made == self._failing).any(axis=0)
            if failing.any():
                batch.fail(failing)
        return made

    def _leaves(self, batch: Batch) -> Rows:
        n, trees = batch.n, len(self._roots)
        with batch.aside():
            values = self._gather.matrix(batch)
            switched = [one.codes(batch) for one in self._coded]
            failed = batch.failed
        if self._plain is not None and n * trees <= _FEW and n <= _FEW_RECORDS and failed is None:
            spare = [0.0] * (self._first_coded - len(self._fields))
            coded = np.array(switched, dtype=np.intp).reshape(-1, n).T.tolist()
            rows = [row + spare + codes for row, codes in zip(values.tolist(), coded, strict=True)]
            return np.array([self._plain.leaves_of_row(row) for row in rows], dtype=np.intp).T
        failing = None if failed is None else self._failures(batch)
        values, codes = self._with_codes(values, switched)
        if failing is not None:
            batch.fail(self._touches(failing, values, codes))
        made = np.empty((trees, n), dtype=np.intp)
        at_once = max(1, _MOST_AT_ONCE // max(n, 1))
        places = np.arange(0, n * self._width, self._width)
        for first in range(0, trees, at_once):
            roots = self._roots[first : first + at_once]
            at = np.repeat(roots, n)
            self._advance(at, np.tile(places, len(roots)), values.reshape(-1), codes)
            made[first : first + at_once] = at.reshape(len(roots), n)
        made -= self._steps
        return made

    def leaves_of_one(self, record: Record) -> list[int]:
        """Returns the leaf in every tree of one record alone.

        Raises:
            Failed: one of them makes the record fail.
        """
        made = self._leaves_of_one(record)
        if self._failing is not None and self._failing in made:
            raise Failed
        return made

    def _leaves_of_one(self, record: Record) -> list[int]:
        if self._plain is not None:
            return self._plain.leaves(record)
        if self._coded or any(field.column < 0 for field in self._fields):
            found: list[int] = record.of_batch(self.leaves)[:, 0].tolist()
            return found
        return self._leaves_of_row(self._gather.row(record))

    def _leaves_of_row(self, row: list[float]) -> list[int]:
        """Does the same where only inputs are compared, in the arrays, so that no more memory is needed."""
        columns, thresholds, bases, ways, _ = (values.data for values in self._steps_in_arrays)
        steps, missing = self._steps, [2 * (value != value) for value in row]
        leaves = []
        for root in self._roots.tolist():
            at = root
            while at < steps:
                column = columns[at]
                at = ways[bases[at] + (row[column] > thresholds[at]) + missing[column]]
            leaves.append(at - steps)
        return leaves

    def _with_codes(self, values: Numbers, places: list[Rows]) -> tuple[Numbers, Rows | None]:
        """Returns the values, shape (n, width), and what is added to the way on, shape (n * width,).

        This is 2 for a missing value, and the place of a value that is switched by. None stands for zeros.
        """
        if not values.shape[1] and not self._coded:
            values = np.zeros((len(values), 1))  # every tree is a leaf, and a leaf looks at the first column
        missing = np.isnan(values)
        if not places:
            return values, (missing * 2).reshape(-1) if missing.any() else None
        n, compared = values.shape
        codes = np.zeros((n, self._width), dtype=np.intp)
        codes[:, :compared] = missing * 2
        for column, place in enumerate(places, self._first_coded):
            codes[:, column] = place
        wide = np.zeros((n, self._width))
        wide[:, :compared] = values
        return wide, codes.reshape(-1)

    def _failures(self, batch: Batch) -> Mask:
        """Returns which values could not be computed, shape (n, width)."""
        failing = np.zeros((batch.n, self._width), dtype=bool)
        places = [*enumerate(self._fields), *enumerate((one.field for one in self._coded), self._first_coded)]
        for place, field in places:
            with batch.aside():
                batch.value(field)
                if batch.failed is not None:
                    failing[:, place] = batch.failed
        return failing

    def _touches(self, failing: Mask, values: Numbers, codes: Rows | None) -> Mask:
        """Returns the records of which some walk looks at a value that could not be computed."""
        columns, thresholds, bases, ways, _ = self._steps_in_arrays
        touched = np.zeros(len(failing), dtype=bool)
        rows = np.flatnonzero(failing.any(axis=1))
        flat, looked_at = values.reshape(-1), failing.reshape(-1)
        current = np.repeat(self._roots, len(rows))
        record = np.tile(rows, len(self._roots))
        while True:
            walking = current < self._steps  # the root of a tree may be a leaf already
            current, record = current[walking], record[walking]
            if not len(current):
                return touched
            place = columns.take(current) + record * self._width
            touched[record[looked_at.take(place)]] = True
            way = bases.take(current) + (flat.take(place) > thresholds.take(current))
            current = ways.take(way if codes is None else way + codes.take(place))

    def _advance(self, at: Rows, offsets: Rows, values: Numbers, codes: Rows | None) -> None:
        """Moves every walk in ``at`` to its leaf, in place."""
        columns, thresholds, bases, ways, two = self._steps_in_arrays
        current: Rows = at
        active: Rows | None = None
        while True:
            for _ in range(_AT_A_TIME):
                place = columns.take(current)
                place += offsets
                higher = values.take(place) > thresholds.take(current)
                if codes is None:
                    way = current + current
                    way += higher
                    current = two.take(way)
                else:
                    way = bases.take(current)
                    way += higher
                    way += codes.take(place)
                    current = ways.take(way)
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
