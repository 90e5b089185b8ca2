"""Functions of arrays as functions of floats, for one record alone (see ``record``)."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["aggregate_of_floats", "divided", "of_floats"]


def divided(left: float, right: float) -> float:
    """Divides as floating point numbers are divided: by zero gives infinity, zero by zero is not a number."""
    if right != 0.0:
        return left / right
    if left != left or left == 0.0:
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1.0, right)


def _exponential(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def _logarithm(function: Callable[[float], float], least: float) -> Callable[[float], float]:
    """Returns a logarithm that is -infinity at ``least``, and not a number below."""

    def of_float(value: float) -> float:
        if value > least:
            return function(value)
        return -math.inf if value == least else math.nan

    return of_float


def _whole(function: Callable[[float], int]) -> Callable[[float], float]:
    """Returns a function that rounds; what is not finite stays as it is."""
    return lambda value: float(function(value)) if math.isfinite(value) else value


_FLOATS: dict[Any, Callable[..., Any]] = {
    np.add: operator.add,
    np.subtract: operator.sub,
    np.multiply: operator.mul,
    np.divide: divided,
    np.abs: abs,
    np.equal: operator.eq,
    np.not_equal: operator.ne,
    np.less: operator.lt,
    np.less_equal: operator.le,
    np.greater: operator.gt,
    np.greater_equal: operator.ge,
    np.exp: _exponential,
    np.expm1: math.expm1,
    np.log: _logarithm(math.log, 0.0),
    np.log10: _logarithm(math.log10, 0.0),
    np.log1p: _logarithm(math.log1p, -1.0),
    np.sqrt: lambda value: math.nan if value < 0.0 else math.sqrt(value),
    np.power: math.pow,
    np.rint: _whole(round),
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
    np.floor: _whole(math.floor),
    np.ceil: _whole(math.ceil),
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
