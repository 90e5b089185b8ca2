"""The inputs of a model as one matrix: what they are derived from is gathered and multiplied together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.batch import Gather
from model_serving.engines.pmml.evaluator.models.affine import Affine, Category, Reader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from model_serving.engines.pmml.evaluator.batch import Batch
    from model_serving.engines.pmml.evaluator.scope import Field
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["Category", "InputMatrix"]

_MOST_FACTORS = 1_000_000


class InputMatrix:
    """Computes columns for models that have no result where one of them is missing (NaN).

    A column that is missing may make other columns of its record missing too.
    """

    __slots__ = ("_categories", "_factors", "_numbers", "_scales", "_shifts", "_wanted")

    def __init__(self, columns: Sequence[Field | Category]) -> None:
        """Creates the matrix; there must be a column."""
        reader = Reader()
        sums = [
            Affine({column: 1.0}) if isinstance(column, Category) else reader.read(column)
            for column in columns
        ]
        parts = list(dict.fromkeys(part for one in sums for part in one.parts))
        if len(parts) * len(columns) > _MOST_FACTORS:
            sums = [Affine({column: 1.0}) for column in columns]
            parts = list(dict.fromkeys(columns))
        numbers = [part for part in parts if not isinstance(part, Category)]
        categories = [part for part in parts if isinstance(part, Category)]
        parts = [*numbers, *categories]
        self._numbers = Gather(numbers) if numbers else None
        self._categories = Gather([part.field for part in categories]) if categories else None
        self._wanted = np.array([part.value for part in categories])
        shifts = np.array([one.constant for one in sums])
        self._shifts: Numbers | None = shifts if shifts.any() else None
        self._scales: Numbers | None = None
        self._factors: Numbers | None = None
        places = {part: place for place, part in enumerate(parts)}
        if [list(one.parts) for one in sums] == [[part] for part in parts]:
            scales = np.array([one.parts[part] for one, part in zip(sums, parts, strict=True)])
            self._scales = None if (scales == 1.0).all() else scales
            return
        self._factors = np.zeros((len(parts), len(columns)))
        for column, one in enumerate(sums):
            for part, factor in one.parts.items():
                self._factors[places[part], column] = factor

    def matrix(self, batch: Batch) -> Numbers:
        """Returns the columns in their order, shape (n, columns); they may be changed."""
        values = self._gathered(batch)
        if self._factors is not None:
            values = values @ self._factors
        elif self._scales is not None:
            values *= self._scales
        if self._shifts is not None:
            values += self._shifts
        return values

    def _gathered(self, batch: Batch) -> Numbers:
        if self._categories is None:
            return np.zeros((batch.n, 0)) if self._numbers is None else self._numbers.matrix(batch)
        codes = self._categories.matrix(batch)
        chosen: Numbers = (codes == self._wanted).astype(np.float64)
        total = np.add.reduce(codes, axis=None)
        if total != total:
            chosen[np.isnan(codes)] = np.nan
        if self._numbers is None:
            return chosen
        return np.concatenate((self._numbers.matrix(batch), chosen), axis=1)
