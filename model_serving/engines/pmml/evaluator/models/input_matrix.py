"""Numbers and categories of a model's inputs as one matrix.

Exporters normalise each input by a derived field of its own. Computed one by one they would take longer than
the model, so those that are straight lines or ask for one category are computed together, from the inputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.batch import Gather
from model_serving.engines.pmml.evaluator.expressions.compiler import As
from model_serving.engines.pmml.evaluator.expressions.normalization import Indicator, Piecewise
from model_serving.engines.pmml.evaluator.scope import Field

if TYPE_CHECKING:
    from collections.abc import Sequence

    from model_serving.engines.pmml.evaluator.batch import Batch
    from model_serving.engines.pmml.evaluator.scope import Expression
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["Category", "InputMatrix", "Scaled", "column_of"]


@dataclass(frozen=True, slots=True)
class Scaled:
    """A field times ``scale`` plus ``shift``."""

    field: Field
    scale: float = 1.0
    shift: float = 0.0


@dataclass(frozen=True, slots=True)
class Category:
    """1 where a field has the value, 0 where it has another, NaN where it is missing."""

    field: Field
    value: float


def column_of(field: Field) -> Scaled | Category:
    """Returns the column of a field, told from the field that it is derived from where that is possible."""
    scale, shift = 1.0, 0.0
    current = field
    while True:
        expression = _plain(current.expression)
        if isinstance(expression, Field):
            current = expression
        elif isinstance(expression, Piecewise) and _is_line(expression):
            argument = expression.argument
            if not isinstance(argument, Field):
                break
            (low, high), (start, end) = expression.origins.tolist(), expression.norms.tolist()
            slope = (end - start) / (high - low)
            scale, shift = scale * slope, shift + scale * (start - low * slope)
            current = argument
        elif isinstance(expression, Indicator) and (scale, shift) == (1.0, 0.0):
            return (
                Category(expression.field, expression.value) if _is_missing(expression) else Scaled(current)
            )
        else:
            break
    return Scaled(current, scale, shift)


def _plain(expression: Expression | None) -> Expression | None:
    """Returns an expression without the conversions that leave every number as it is."""
    while isinstance(expression, As) and expression.kind.data_type == "double":
        if expression.inner.kind.data_type not in {"integer", "float", "boolean"}:
            break
        expression = expression.inner
    return expression


def _is_line(expression: Piecewise) -> bool:
    return len(expression.origins) == 2 and expression.outliers == "asIs" and _is_missing(expression)


def _is_missing(expression: Piecewise | Indicator) -> bool:
    """Whether the value of a missing field is missing."""
    return expression.when_missing != expression.when_missing


class InputMatrix:
    """Computes columns. NaN is missing."""

    __slots__ = ("_categories", "_numbers", "_order", "_scales", "_shifts", "_wanted")

    def __init__(self, columns: Sequence[Scaled | Category]) -> None:
        """Creates the matrix; there must be a column."""
        numbers = [one for one in columns if isinstance(one, Scaled)]
        categories = [one for one in columns if isinstance(one, Category)]
        self._numbers = Gather([one.field for one in numbers]) if numbers else None
        scales, shifts = np.array([one.scale for one in numbers]), np.array([one.shift for one in numbers])
        is_plain = bool((scales == 1.0).all() and (shifts == 0.0).all())
        self._scales: Numbers | None = None if is_plain else scales
        self._shifts: Numbers | None = None if is_plain else shifts
        self._categories = Gather([one.field for one in categories]) if categories else None
        self._wanted = np.array([one.value for one in categories])
        places = [place for place, one in enumerate(columns) if isinstance(one, Scaled)]
        places += [place for place, one in enumerate(columns) if isinstance(one, Category)]
        order = np.argsort(places)
        self._order = None if (order == np.arange(len(places))).all() else order

    def matrix(self, batch: Batch) -> Numbers:
        """Returns the columns in their order, shape (n, columns); they may be changed."""
        if self._numbers is None:
            return self._chosen(batch)
        values = self._numbers.matrix(batch)
        if self._scales is not None and self._shifts is not None:
            values *= self._scales
            values += self._shifts
        if self._categories is None:
            return values
        together = np.concatenate((values, self._chosen(batch)), axis=1)
        return together if self._order is None else together.take(self._order, axis=1)

    def _chosen(self, batch: Batch) -> Numbers:
        """Returns the columns of categories."""
        if self._categories is None:
            return np.empty((batch.n, 0))
        codes = self._categories.matrix(batch)
        chosen: Numbers = (codes == self._wanted).astype(np.float64)
        total = np.add.reduce(codes, axis=None)
        if total != total:
            chosen[np.isnan(codes)] = np.nan
        return chosen
