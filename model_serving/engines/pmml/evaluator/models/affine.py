"""Derived fields that are sums of multiples of other fields: scaled numbers, principal components, sums.

Exporters write them as nested additions and products of one number each. Computed one by one they take longer
than the model that uses them; as multiples of a few fields they are one product of matrices.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, nan
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.expressions.constants import Constant
from model_serving.engines.pmml.evaluator.expressions.conversions import As
from model_serving.engines.pmml.evaluator.expressions.normalization import Indicator, Piecewise
from model_serving.engines.pmml.evaluator.expressions.operands import Numeric
from model_serving.engines.pmml.evaluator.scope import Field

if TYPE_CHECKING:
    from model_serving.engines.pmml.evaluator.record import Record
    from model_serving.engines.pmml.evaluator.scope import Expression

__all__ = ["Affine", "Category", "Product", "Reader"]

_DEEPEST = 60
_MOST_PARTS = 1_000


@dataclass(frozen=True, slots=True)
class Category:
    """1 where a field has the value, 0 where it has another, NaN where it is missing."""

    field: Field
    value: float

    def one(self, record: Record) -> float:
        """Returns the value for one record alone (raises as ``Expression.one``)."""
        value = self.field.one(record)
        return float(value == self.value) if value == value else nan


@dataclass(frozen=True, slots=True)
class Product:
    """The product of two fields."""

    left: Field
    right: Field

    def one(self, record: Record) -> float:
        """Returns the value for one record alone (raises as ``Expression.one``)."""
        return self.left.one(record) * self.right.one(record)


@dataclass(frozen=True, slots=True)
class Affine:
    """A constant, and multiples of parts. A part with the factor 0 must not be missing either."""

    parts: dict[Field | Product | Category, float]
    constant: float = 0.0

    def scaled(self, factor: float) -> Affine:
        """Returns the sum times a factor."""
        return Affine({part: value * factor for part, value in self.parts.items()}, self.constant * factor)

    def plus(self, other: Affine, factor: float = 1.0) -> Affine:
        """Returns the sum and a multiple of another one."""
        parts = dict(self.parts)
        for part, value in other.parts.items():
            parts[part] = parts.get(part, 0.0) + value * factor
        return Affine(parts, self.constant + other.constant * factor)


class Reader:
    """Reads fields as sums; each field once."""

    def __init__(self) -> None:
        self._known: dict[Field, Affine] = {}

    def read(self, field: Field) -> Affine:
        """Returns a field as a sum; it is the field itself where it is derived in another way."""
        return self._field(field, 0)

    def _field(self, field: Field, depth: int) -> Affine:
        found = self._known.get(field)
        if found is None:
            made = None if field.expression is None else self._expression(field.expression, depth + 1)
            found = Affine({field: 1.0}) if made is None or len(made.parts) > _MOST_PARTS else made
            self._known[field] = found
        return found

    def _expression(self, expression: Expression, depth: int) -> Affine | None:
        """Returns an expression as a sum, None if it is none or too deep."""
        if depth > _DEEPEST:
            return Affine({expression: 1.0}) if isinstance(expression, Field) else None
        if isinstance(expression, Field):
            return self._field(expression, depth)
        if isinstance(expression, Constant):
            return Affine({}, expression.value) if isfinite(expression.value) else None
        if isinstance(expression, As):
            return self._converted(expression, depth)
        if isinstance(expression, Indicator):
            return (
                Affine({Category(expression.field, expression.value): 1.0}) if _is_nan(expression) else None
            )
        if isinstance(expression, Piecewise):
            return self._line(expression, depth)
        return self._applied(expression, depth) if isinstance(expression, Numeric) else None

    def _converted(self, expression: As, depth: int) -> Affine | None:
        """A conversion to double leaves every number as it is."""
        if expression.kind.data_type != "double":
            return None
        if expression.inner.kind.data_type not in {"integer", "float", "boolean"}:
            return None
        return self._expression(expression.inner, depth + 1)

    def _line(self, expression: Piecewise, depth: int) -> Affine | None:
        if len(expression.origins) != 2 or expression.outliers != "asIs" or not _is_nan(expression):
            return None
        argument = self._expression(expression.argument, depth + 1)
        (low, high), (start, end) = expression.origins.tolist(), expression.norms.tolist()
        slope = (end - start) / (high - low)
        return None if argument is None else argument.scaled(slope).plus(Affine({}, start - low * slope))

    def _applied(self, expression: Numeric, depth: int) -> Affine | None:
        function = expression.function
        if function not in {np.add, np.subtract, np.multiply, np.divide} or len(expression.arguments) != 2:
            return None
        left, right = (self._expression(argument, depth + 1) for argument in expression.arguments)
        if left is None or right is None:
            return None
        if function is np.add or function is np.subtract:
            return left.plus(right, 1.0 if function is np.add else -1.0)
        if function is np.multiply and not left.parts:
            left, right = right, left
        if function is np.multiply and right.parts:
            return _product(left, right)
        if right.parts or (function is np.divide and right.constant == 0.0):
            return None
        return left.scaled(right.constant if function is np.multiply else 1.0 / right.constant)


def _product(left: Affine, right: Affine) -> Affine | None:
    """Returns the product of two sums that are multiples of one field each, None of others."""
    if len(left.parts) != 1 or len(right.parts) != 1 or left.constant != 0.0 or right.constant != 0.0:
        return None
    ((first, scale),) = left.parts.items()
    ((second, factor),) = right.parts.items()
    if not isinstance(first, Field) or not isinstance(second, Field):
        return None
    return Affine({Product(first, second): scale * factor})


def _is_nan(expression: Piecewise | Indicator) -> bool:
    """Whether the value of a missing field is missing."""
    return expression.when_missing != expression.when_missing
