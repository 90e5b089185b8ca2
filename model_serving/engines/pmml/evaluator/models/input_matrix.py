"""The inputs of a model as one matrix: what they are derived from is gathered and multiplied together."""

from __future__ import annotations

from operator import add, mul
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.batch import Gather
from model_serving.engines.pmml.evaluator.models.affine import Affine, Category, Product, Reader
from model_serving.engines.pmml.evaluator.scope import Field

if TYPE_CHECKING:
    from collections.abc import Sequence

    from model_serving.engines.pmml.evaluator.batch import Batch, Rows
    from model_serving.engines.pmml.evaluator.record import Record
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["Category", "InputMatrix", "Product"]

_MOST_FACTORS = 1_000_000


class InputMatrix:
    """Computes columns for models that have no result where one of them is missing (NaN).

    A column that is missing may make other columns of its record missing too.
    """

    __slots__ = (
        "_categories",
        "_factors",
        "_lefts",
        "_numbers",
        "_order",
        "_rights",
        "_scales",
        "_shifts",
        "_wanted",
        "parts",
    )

    def __init__(self, columns: Sequence[Field | Category]) -> None:
        """Creates the matrix; there must be a column."""
        reader = Reader()
        sums = [
            Affine({column: 1.0}) if isinstance(column, Category) else reader.read(column)
            for column in columns
        ]
        parts = list(dict.fromkeys(part for one in sums for part in one.parts))
        if len(parts) * len(columns) > _MOST_FACTORS and any(len(one.parts) != 1 for one in sums):
            sums = [Affine({column: 1.0}) for column in columns]
            parts = list(dict.fromkeys(columns))
        numbers = [part for part in parts if isinstance(part, Field)]
        products = [part for part in parts if isinstance(part, Product)]
        categories = [part for part in parts if isinstance(part, Category)]
        parts = [*numbers, *products, *categories]
        self.parts: tuple[Field | Product | Category, ...] = tuple(parts)
        """What the columns are made of."""
        self._numbers = Gather(numbers) if numbers else None
        self._lefts = Gather([part.left for part in products]) if products else None
        self._rights = Gather([part.right for part in products])
        self._categories = Gather([part.field for part in categories]) if categories else None
        self._wanted = np.array([part.value for part in categories])
        shifts = np.array([one.constant for one in sums])
        self._shifts: Numbers | None = shifts if shifts.any() else None
        self._scales: Numbers | None = None
        self._factors: Numbers | None = None
        places = {part: place for place, part in enumerate(parts)}
        self._order: Rows | None = None
        if all(len(one.parts) == 1 for one in sums):
            found = [next(iter(one.parts.items())) for one in sums]
            scales = np.array([factor for _, factor in found])
            self._scales = None if (scales == 1.0).all() else scales
            order = np.array([places[part] for part, _ in found], dtype=np.intp)
            self._order = None if np.array_equal(order, np.arange(len(parts))) else order
            return
        self._factors = np.zeros((len(parts), len(columns)))
        for column, one in enumerate(sums):
            for part, factor in one.parts.items():
                self._factors[places[part], column] = factor

    def matrix(self, batch: Batch) -> Numbers:
        """Returns the columns in their order, shape (n, columns); they may be changed."""
        values = self.gathered(batch)
        if self._factors is not None:
            values = values @ self._factors
        if self._order is not None:
            values = values.take(self._order, axis=1)
        if self._scales is not None:
            values *= self._scales
        if self._shifts is not None:
            values += self._shifts
        return values

    def row(self, record: Record) -> list[float]:
        """Returns the columns of one record alone (raises as ``Expression.one``)."""
        row = [part.one(record) for part in self.parts]
        if self._factors is not None:
            with np.errstate(all="ignore"):
                row = (np.array(row) @ self._factors).tolist()
        if self._order is not None:
            row = [row[place] for place in self._order.tolist()]
        if self._scales is not None:
            row = list(map(mul, row, self._scales.tolist()))
        return row if self._shifts is None else list(map(add, row, self._shifts.tolist()))

    def folded(self, coefficients: Numbers) -> tuple[Numbers, Numbers]:
        """Returns how sums of the columns are sums of the parts.

        Args:
            coefficients: those of the columns, shape (columns, sums).

        Returns:
            The coefficients of the parts, shape (parts, sums), and what is added, shape (sums,).
        """
        added = np.zeros(coefficients.shape[1]) if self._shifts is None else self._shifts @ coefficients
        if self._factors is not None:
            return self._factors @ coefficients, added
        scaled = coefficients if self._scales is None else coefficients * self._scales[:, None]
        if self._order is None:
            return scaled, added
        made = np.zeros((len(self.parts), coefficients.shape[1]))
        np.add.at(made, self._order, scaled)
        return made, added

    def gathered(self, batch: Batch) -> Numbers:
        """Returns the parts, shape (n, parts)."""
        made: list[Numbers] = [] if self._numbers is None else [self._numbers.matrix(batch)]
        if self._lefts is not None:
            made.append(self._lefts.matrix(batch) * self._rights.matrix(batch))
        if self._categories is not None:
            codes = self._categories.matrix(batch)
            chosen: Numbers = (codes == self._wanted).astype(np.float64)
            total = np.add.reduce(codes, axis=None)
            if total != total:
                chosen[np.isnan(codes)] = np.nan
            made.append(chosen)
        if len(made) == 1:
            return made[0]
        return np.concatenate(made, axis=1) if made else np.zeros((batch.n, 0))
