"""Functions of arrays as functions of floats, for one record alone (see ``record``)."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["aggregate_of_floats", "of_floats"]


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
    np.exp: math.exp,
    np.expm1: math.expm1,
    np.log: math.log,
    np.log10: math.log10,
    np.log1p: math.log1p,
    np.sqrt: math.sqrt,
    np.power: math.pow,
    np.rint: lambda value: float(round(value)),
    np.hypot: math.hypot,
    np.sin: math.sin,
    np.cos: math.cos,
    np.tan: math.tan,
    np.arcsin: math.asin,
    np.arccos: math.acos,
    np.arctan: math.atan,
    np.arctan2: math.atan2,
    np.sinh: math.sinh,
    np.cosh: math.cosh,
    np.tanh: math.tanh,
    np.floor: lambda value: float(math.floor(value)),
    np.ceil: lambda value: float(math.ceil(value)),
}


def of_floats(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a function of arrays as one of floats: Python's where there is one, which may raise instead."""
    known = _FLOATS.get(function)
    if known is not None:
        return known

    def of_arrays(*values: float) -> float:
        with np.errstate(all="ignore"):
            return float(function(*[np.array((value,)) for value in values])[0])

    return of_arrays


def aggregate_of_floats(
    of_present: Callable[[Sequence[float]], float],
) -> Callable[..., float]:
    """Returns an aggregate of floats that ignores missing ones, and is missing where all are."""

    def function(*values: float) -> float:
        present = [value for value in values if value == value]
        return of_present(present) if present else math.nan

    return function
