"""Numbers and categories of a model's inputs as one matrix: those of a kind are computed together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.batch import Gather

if TYPE_CHECKING:
    from collections.abc import Sequence

    from model_serving.engines.pmml.evaluator.batch import Batch
    from model_serving.engines.pmml.evaluator.scope import Field
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["Category", "InputMatrix", "Scaled"]


class Scaled:
    """A field times ``scale`` plus ``shift``, as the column with this place."""

    __slots__ = ("field", "place", "scale", "shift")

    def __init__(self, place: int, field: Field, scale: float = 1.0, shift: float = 0.0) -> None:
        self.place, self.field, self.scale, self.shift = place, field, scale, shift


class Category:
    """1 where a field has the value, else 0, as the column with this place."""

    __slots__ = ("field", "place", "value")

    def __init__(self, place: int, field: Field, value: float) -> None:
        self.place, self.field, self.value = place, field, value


class InputMatrix:
    """Computes the columns. NaN is missing."""

    __slots__ = ("_categories", "_numbers", "_order", "_scales", "_shifts", "_wanted")

    def __init__(self, columns: Sequence[Scaled | Category]) -> None:
        """Creates the matrix; each column says its place."""
        numbers = [one for one in columns if isinstance(one, Scaled)]
        categories = [one for one in columns if isinstance(one, Category)]
        self._numbers = Gather([one.field for one in numbers]) if numbers else None
        scales, shifts = np.array([one.scale for one in numbers]), np.array([one.shift for one in numbers])
        is_plain = bool((scales == 1.0).all() and (shifts == 0.0).all())
        self._scales: Numbers | None = None if is_plain else scales
        self._shifts: Numbers | None = None if is_plain else shifts
        self._categories = Gather([one.field for one in categories]) if categories else None
        self._wanted = np.array([one.value for one in categories])
        places = [*(one.place for one in numbers), *(one.place for one in categories)]
        order = np.argsort(places)
        self._order = None if (order == np.arange(len(places))).all() else order

    def matrix(self, batch: Batch) -> Numbers:
        """Returns the columns in the order of their places, shape (n, columns)."""
        made: list[Numbers] = []
        if self._numbers is not None:
            values = self._numbers.matrix(batch)
            if self._scales is not None and self._shifts is not None:
                values = values * self._scales + self._shifts
            made.append(values)
        if self._categories is not None:
            codes = self._categories.matrix(batch)
            chosen = (codes == self._wanted).astype(np.float64)
            chosen[np.isnan(codes)] = np.nan
            made.append(chosen)
        together = made[0] if len(made) == 1 else np.concatenate(made, axis=1)
        return together if self._order is None else together[:, self._order]
