"""Linear sums of one record alone (see ``record``)."""

from __future__ import annotations

from math import nan
from operator import add, mul
from typing import TYPE_CHECKING, Protocol

import numpy as np

from model_serving.engines.pmml.evaluator.scope import Field

if TYPE_CHECKING:
    from collections.abc import Sequence

    from model_serving.engines.pmml.evaluator.record import Record
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["Part", "PlainSums", "Row"]

_FEW = 256
"""Up to this number of coefficients Python is faster than numpy, which has to make an array first."""

Row = tuple[float, ...]


class Part(Protocol):
    """Something that a coefficient belongs to: a field, or a product."""

    def one(self, record: Record) -> float:
        """Returns the value for one record alone (raises as ``Expression.one``)."""
        ...


class PlainSums:
    """Several sums over one record. A missing part makes all of them missing."""

    __slots__ = ("_coefficients", "_columns", "_inputs", "_intercepts", "_parts", "_tables")

    def __init__(self, intercepts: Numbers, parts: Sequence[Part], coefficients: Numbers) -> None:
        """Takes an intercept for each sum, and the coefficients, shape (parts, sums)."""
        self._intercepts: list[float] = intercepts.tolist()
        self._parts = tuple(parts)
        columns = [part.column if isinstance(part, Field) else -1 for part in parts]
        self._inputs = columns if min(columns, default=0) >= 0 else None
        """The columns of the parts, if all of them are inputs."""
        self._columns: list[list[float]] = coefficients.T.tolist()
        few = len(self._columns) < 3 or coefficients.size <= _FEW
        self._coefficients = None if few else coefficients
        self._tables: list[tuple[Field, int, dict[float, Row], bool]] = []

    def add_categories(
        self, categories: Sequence[tuple[Field, float]], coefficients: Numbers, *, needed: bool
    ) -> None:
        """Adds coefficients for records of which a field has a value.

        Args:
            categories: the fields and values.
            coefficients: shape (categories, sums).
            needed: whether a missing field makes the sums missing.
        """
        tables: dict[Field, dict[float, Row]] = {}
        for (field, value), row in zip(categories, coefficients.tolist(), strict=True):
            table = tables.setdefault(field, {})
            if value == value:  # no value is equal to NaN
                table[value] = tuple(map(add, table[value], row)) if value in table else tuple(row)
        self._tables += [(field, field.column, table, needed) for field, table in tables.items()]

    def one(self, record: Record) -> list[float]:
        """Returns the sums (raises as ``Expression.one``)."""
        given = record.row
        if self._inputs is None:
            row = [part.one(record) for part in self._parts]
        else:
            row = [given[column] for column in self._inputs]
        if self._coefficients is None:
            made = [
                intercept + sum(map(mul, row, column))
                for intercept, column in zip(self._intercepts, self._columns, strict=True)
            ]
        else:
            with np.errstate(all="ignore"):
                made = (np.array(row) @ self._coefficients + self._intercepts).tolist()
        is_missing = False
        for field, column, table, needed in self._tables:
            value = field.one(record) if column < 0 else given[column]
            found = table.get(value)
            if found is not None:
                made = list(map(add, made, found))
            elif needed and value != value:
                is_missing = True
        return [nan] * len(made) if is_missing else made
