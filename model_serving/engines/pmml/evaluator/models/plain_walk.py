"""Leads one record alone through a graph of steps: in plain Python, each step takes a few hundredths of a µs.

A step is a list ``[column, threshold, low, high, missing]``, of which the last three are the steps to go on
with. A switch has no threshold (None), and ``low`` is the list of steps to go on with by the value's place. A
leaf has the column -1, and its number in the place of the threshold.
"""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from model_serving.engines.pmml.evaluator.batch import Rows
    from model_serving.engines.pmml.evaluator.models.walk import Coded
    from model_serving.engines.pmml.evaluator.record import Record
    from model_serving.engines.pmml.evaluator.scope import Field
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["PlainWalk"]


class PlainWalk:
    """The steps of a ``Walk`` as lists."""

    __slots__ = (
        "_coded",
        "_columns",
        "_fields",
        "_first_coded",
        "_is_all_inputs",
        "_roots",
        "_switched",
    )

    def __init__(
        self,
        fields: Sequence[Field],
        coded: Sequence[Coded],
        steps: tuple[Rows, Numbers, Rows, Rows],
        roots: Sequence[int],
        count: int,
    ) -> None:
        """Takes the columns, thresholds, bases and ways of a ``Walk``, and the number of steps in it."""
        self._fields, self._coded = tuple(fields), tuple(coded)
        self._first_coded = max(1, len(fields))
        columns, thresholds, bases, ways = steps
        made = _linked(
            columns.tolist(), thresholds.tolist(), bases.tolist(), ways.tolist(), count, self._first_coded
        )
        self._roots = [made[root] for root in roots]
        self._columns = [field.column for field in fields]
        self._switched = [(one.field.column, one) for one in coded]
        self._is_all_inputs = all(one >= 0 for one in (*self._columns, *(one for one, _ in self._switched)))

    def leaves(self, record: Record) -> list[int]:
        """Returns the leaf of each tree (raises as ``Expression.one``)."""
        given = record.row
        if not self._is_all_inputs:
            return self._leaves_of_some(record)
        row: list[Any] = [given[column] for column in self._columns]
        if self._switched or isnan(sum(row)):
            if not row:
                row = [None]  # no step looks at it
            row += [one.code(given[column]) for column, one in self._switched]
            return self.leaves_of_row(row)
        leaves = []
        for column, threshold, low, high, _ in self._roots:
            while column >= 0:
                column, threshold, low, high, _ = high if row[column] > threshold else low  # noqa: PLW2901
            leaves.append(threshold)
        return leaves

    def leaves_of_row(self, row: list[Any]) -> list[int]:
        """Returns the leaf of each tree.

        Args:
            row: the value of each compared field, and the place of the value of each field that is switched
                by.
        """
        leaves = []
        for column, threshold, low, high, missing in self._roots:
            while column >= 0:
                value = row[column]
                if threshold is None:
                    step = low[value]
                elif value > threshold:
                    step = high
                else:
                    step = low if value == value else missing
                column, threshold, low, high, missing = step  # noqa: PLW2901
            leaves.append(threshold)
        return leaves

    def _leaves_of_some(self, record: Record) -> list[int]:
        """Does the same where derived fields are looked at: each is computed when a step needs it."""
        given = record.row
        row: list[Any] = [given[column] if column >= 0 else None for column in self._columns] or [None]
        row += [one.code(given[column]) if column >= 0 else None for column, one in self._switched]
        leaves = []
        for column, threshold, low, high, missing in self._roots:
            while column >= 0:
                value = row[column]
                if value is None:
                    value = row[column] = self._value(column, record)
                if threshold is None:
                    step = low[value]
                elif value > threshold:
                    step = high
                else:
                    step = low if value == value else missing
                column, threshold, low, high, missing = step  # noqa: PLW2901
            leaves.append(threshold)
        return leaves

    def _value(self, column: int, record: Record) -> float | int:
        if column < self._first_coded:
            return self._fields[column].one(record)
        coded = self._coded[column - self._first_coded]
        return coded.code(coded.field.one(record))


def _linked(
    columns: list[int],
    thresholds: list[float],
    bases: list[int],
    ways: list[int],
    count: int,
    first_coded: int,
) -> list[list[Any]]:
    made: list[list[Any]] = [
        [column, threshold, None, None, None]
        for column, threshold in zip(columns[:count], thresholds, strict=False)
    ]
    made += [[-1, leaf, None, None, None] for leaf in range(len(columns) - count)]
    for place, step in enumerate(made[:count]):
        base = bases[place]
        if step[0] < first_coded:
            step[2:] = made[ways[base]], made[ways[base + 1]], made[ways[base + 2]]
        else:
            step[1] = None
            step[2] = [made[way] for way in ways[base : bases[place + 1]]]
    return made
