"""One record alone: expressions in plain Python numbers, which is several times faster than arrays of one.

An expression may have a method ``one(batch)`` beside ``evaluate``: the value of a batch's only record, as a
float, with the same result to the last bit. It is used where there is one, else the array of one.
"""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from model_serving.engines.pmml.evaluator.expressions.compiler import Constant

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from model_serving.engines.pmml.evaluator.batch import Batch
    from model_serving.engines.pmml.evaluator.scope import Expression

__all__ = ["ONLY", "aggregate_of_floats", "of_floats", "one_of"]

ONLY = np.ones(1, dtype=bool)
"""The mask that marks the only record of a batch."""
ONLY.setflags(write=False)


def one_of(expression: Expression) -> Callable[[Batch], float]:
    """Returns what computes the value of an expression for a batch of one record."""
    if isinstance(expression, Constant):
        value = expression.value
        return lambda _: value
    one: Callable[[Batch], float] | None = getattr(expression, "one", None)
    return one if one is not None else lambda batch: float(expression.evaluate(batch)[0])


def _divided(left: float, right: float) -> float:
    """Divides as floating point numbers are divided: by zero gives infinity, zero by zero is not a number."""
    if right != 0.0:
        return left / right
    if left != left or left == 0.0:
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1.0, right)


_FLOATS: dict[Any, Callable[..., Any]] = {
    np.add: operator.add,
    np.subtract: operator.sub,
    np.multiply: operator.mul,
    np.divide: _divided,
    np.abs: abs,
    np.equal: operator.eq,
    np.not_equal: operator.ne,
    np.less: operator.lt,
    np.less_equal: operator.le,
    np.greater: operator.gt,
    np.greater_equal: operator.ge,
}


def of_floats(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a function of arrays as one of floats: Python's operator where there is one."""
    known = _FLOATS.get(function)
    if known is not None:
        return known
    if isinstance(function, np.ufunc):
        return lambda *values: float(function(*values))
    return lambda *values: float(function(*[np.array((value,)) for value in values])[0])


def aggregate_of_floats(
    of_present: Callable[[Sequence[float]], float],
) -> Callable[..., float]:
    """Returns an aggregate of floats that ignores missing ones, and is missing where all are."""

    def function(*values: float) -> float:
        present = [value for value in values if value == value]
        return of_present(present) if present else math.nan

    return function
