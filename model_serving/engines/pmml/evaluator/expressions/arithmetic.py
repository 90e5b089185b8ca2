"""Built-in functions of numbers (PMML 4.4: Built-in functions).

The standard does not say of which type a result is. As in JPMML: the widest type of the arguments (integer <
float < double), so a quotient of whole numbers is whole; always double for roots, logarithms and the like;
integer for ``floor``, ``ceil`` and ``round``.
"""

from __future__ import annotations

import math
import operator
from functools import partial, reduce
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.data_types import DOUBLE, INTEGER
from model_serving.engines.pmml.evaluator.expressions.operands import (
    MANY,
    Builtin,
    as_number,
    number_kind,
    numeric,
)
from model_serving.engines.pmml.evaluator.expressions.single import aggregate_of_floats, divided

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from model_serving.engines.pmml.evaluator.data_types import Kind
    from model_serving.engines.pmml.evaluator.scope import Expression, Program
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["FUNCTIONS"]

_STANDARD_NORMAL = NormalDist()


def _numbers(arguments: Sequence[Expression], program: Program) -> list[Expression]:
    return [as_number(argument, program) for argument in arguments]


def _arithmetic(
    function: Callable[..., Numbers],
    of_integers: Callable[..., Numbers],
    arguments: Sequence[Expression],
    program: Program,
) -> Expression:
    """+ - * / and modulo: "if one of the inputs is missing, the result is missing"."""
    numbers = _numbers(arguments, program)
    kind = number_kind(numbers)
    function = of_integers if kind == INTEGER else function
    return numeric(kind, function, numbers, takes_missing=True, floats=_OF_FLOATS.get(function))


def _whole_quotient(left: Numbers, right: Numbers) -> Numbers:
    """Division of whole numbers; a division by zero is not a number."""
    quotient = np.trunc(np.divide(left, right))
    made: Numbers = np.where(np.isinf(quotient), np.nan, quotient)
    return made


def _modulo(left: Numbers, right: Numbers) -> Numbers:
    made: Numbers = left - np.floor(np.divide(left, right)) * right
    return made


def _aggregate(
    function: Callable[[Sequence[Numbers]], Numbers],
    result: Kind | None,
    arguments: Sequence[Expression],
    program: Program,
) -> Expression:
    """Functions of any number of arguments: "missing values are simply ignored"."""
    numbers = _numbers(arguments, program)
    kind = number_kind(numbers)
    if kind == INTEGER and result is not None:
        kind = result
    floats = aggregate_of_floats(_OF_PRESENT[function]) if function in _OF_PRESENT else None
    return numeric(kind, lambda *values: function(values), numbers, takes_missing=True, floats=floats)


def _present(values: Sequence[Numbers], neutral: float) -> tuple[list[Numbers], Numbers]:
    """Returns the values with a neutral number for missing ones, and how many are present (0 is NaN)."""
    missing = [np.isnan(value) for value in values]
    count = len(values) - reduce(np.add, [one.astype(np.float64) for one in missing])
    filled = [np.where(one, neutral, value) for one, value in zip(missing, values, strict=True)]
    return filled, np.where(count == 0, np.nan, count)


def _sum(values: Sequence[Numbers]) -> Numbers:
    made = reduce(np.add, values)
    total = np.add.reduce(made)
    if total == total:
        return made
    filled, count = _present(values, 0.0)
    return np.where(np.isnan(count), np.nan, reduce(np.add, filled))


def _product(values: Sequence[Numbers]) -> Numbers:
    filled, count = _present(values, 1.0)
    return np.where(np.isnan(count), np.nan, reduce(np.multiply, filled))


def _average(values: Sequence[Numbers]) -> Numbers:
    made = reduce(np.add, values) / len(values)
    total = np.add.reduce(made)
    if total == total:
        return made
    filled, count = _present(values, 0.0)
    return reduce(np.add, filled) / count


def _median(values: Sequence[Numbers]) -> Numbers:
    """The middle value of those that are present, half of the two in the middle when they are even."""
    ordered = np.sort(np.array(np.broadcast_arrays(*values)), axis=0)  # NaN comes last
    count = np.sum(~np.isnan(ordered), axis=0)
    rows = np.arange(ordered.shape[1])
    low = ordered[np.maximum(count - 1, 0) // 2, rows]
    high = ordered[np.minimum(count // 2, len(ordered) - 1), rows]
    made: Numbers = (low + high) / 2.0
    return made


def _least(values: Sequence[Numbers]) -> Numbers:
    return reduce(np.fmin, values)


def _greatest(values: Sequence[Numbers]) -> Numbers:
    return reduce(np.fmax, values)


def _sum_of(values: Sequence[float]) -> float:
    """Adds from left to right, as arrays are added (Python's ``sum`` may round differently)."""
    return reduce(operator.add, values)


_OF_PRESENT: Mapping[Callable[[Sequence[Numbers]], Numbers], Callable[[Sequence[float]], float]] = {
    _sum: _sum_of,
    _average: lambda values: _sum_of(values) / len(values),
    _product: math.prod,
    _least: min,
    _greatest: max,
}


def _kept(function: Callable[..., Numbers], arguments: Sequence[Expression], program: Program) -> Expression:
    """A function whose result has the type of its arguments."""
    numbers = _numbers(arguments, program)
    return numeric(number_kind(numbers), function, numbers, floats=_OF_FLOATS.get(function))


def _typed(
    kind: Kind, function: Callable[..., Numbers], arguments: Sequence[Expression], program: Program
) -> Expression:
    """A function whose result has one type, whatever the arguments have."""
    return numeric(kind, function, _numbers(arguments, program), floats=_OF_FLOATS.get(function))


def _power(arguments: Sequence[Expression], program: Program) -> Expression:
    numbers = _numbers(arguments, program)
    kind = number_kind(numbers)
    return numeric(kind, _whole_power if kind == INTEGER else np.power, numbers)


def _whole_power(base: Numbers, exponent: Numbers) -> Numbers:
    """A power of whole numbers; one that is not whole is not a number."""
    made = np.power(base, exponent)
    return np.where(made == np.floor(made), made, np.nan)


def _threshold(value: Numbers, limit: Numbers) -> Numbers:
    return np.where(np.isnan(value) | np.isnan(limit), np.nan, (value > limit) * 1.0)


def _round(value: Numbers) -> Numbers:
    """Rounds halves up, as Java's ``Math.round``, which the standard's text means."""
    down = np.floor(value)
    return np.where(value - down >= 0.5, down + 1.0, down)


def _expit(value: Numbers) -> Numbers:
    made: Numbers = 1.0 / (1.0 + np.exp(-value))
    return made


def _each(function: Callable[[float], float]) -> Callable[[Numbers], Numbers]:
    """Returns a function of arrays that calls one of numbers; numpy has no error function."""
    return lambda values: np.array([function(value) for value in values.tolist()])


_erf = _each(math.erf)
_erfc = _each(math.erfc)


def _standard_quantile(share: float) -> float:
    if 0.0 < share < 1.0:
        return _STANDARD_NORMAL.inv_cdf(share)
    return {0.0: -math.inf, 1.0: math.inf}.get(share, math.nan)


_quantile = _each(_standard_quantile)


def _cdf(value: Numbers, mean: Numbers | float = 0.0, deviation: Numbers | float = 1.0) -> Numbers:
    return 0.5 * _erfc(np.asarray((mean - value) / (deviation * math.sqrt(2.0))))


def _pdf(value: Numbers, mean: Numbers | float = 0.0, deviation: Numbers | float = 1.0) -> Numbers:
    scaled = (value - mean) / deviation
    return np.exp(-0.5 * scaled * scaled) / (deviation * math.sqrt(2.0 * math.pi))


def _idf(share: Numbers, mean: Numbers | float, deviation: Numbers | float) -> Numbers:
    return mean + deviation * _quantile(share)


_DOUBLES: Mapping[str, tuple[int, Callable[..., Numbers]]] = {
    "log10": (1, np.log10),
    "ln": (1, np.log),
    "ln1p": (1, np.log1p),
    "exp": (1, np.exp),
    "expm1": (1, np.expm1),
    "expit": (1, _expit),
    "sqrt": (1, np.sqrt),
    "hypot": (2, np.hypot),
    "sin": (1, np.sin),
    "cos": (1, np.cos),
    "tan": (1, np.tan),
    "asin": (1, np.arcsin),
    "acos": (1, np.arccos),
    "atan": (1, np.arctan),
    "atan2": (2, np.arctan2),
    "sinh": (1, np.sinh),
    "cosh": (1, np.cosh),
    "tanh": (1, np.tanh),
    "erf": (1, _erf),
    "normalCDF": (3, _cdf),
    "normalPDF": (3, _pdf),
    "normalIDF": (3, _idf),
    "stdNormalCDF": (1, _cdf),
    "stdNormalPDF": (1, _pdf),
    "stdNormalIDF": (1, _quantile),
}


def _whole_quotient_of_one(left: float, right: float) -> float:
    quotient = divided(left, right)
    return float(math.trunc(quotient)) if math.isfinite(quotient) else math.nan


def _modulo_of_one(left: float, right: float) -> float:
    if left != left or right != right:
        return math.nan
    return left - math.floor(left / right) * right


def _round_of_one(value: float) -> float:
    if not math.isfinite(value):
        return value
    whole = math.floor(value)
    return float(whole + (value - whole >= 0.5))


def _expit_of_one(value: float) -> float:
    try:
        return 1.0 / (1.0 + math.exp(-value))
    except OverflowError:
        return 0.0


_OF_FLOATS: Mapping[Callable[..., Numbers], Callable[..., float]] = {
    _whole_quotient: _whole_quotient_of_one,
    _modulo: _modulo_of_one,
    _threshold: lambda value, limit: float(value > limit) if value == value and limit == limit else math.nan,
    _round: _round_of_one,
    _expit: _expit_of_one,
}
"""The functions of one record alone; they may raise instead of a result that is not finite."""

FUNCTIONS: Mapping[str, Builtin] = {
    "+": Builtin(2, 2, partial(_arithmetic, np.add, np.add)),
    "-": Builtin(2, 2, partial(_arithmetic, np.subtract, np.subtract)),
    "*": Builtin(2, 2, partial(_arithmetic, np.multiply, np.multiply)),
    "/": Builtin(2, 2, partial(_arithmetic, np.divide, _whole_quotient)),
    "modulo": Builtin(2, 2, partial(_arithmetic, _modulo, _modulo)),
    "min": Builtin(1, MANY, partial(_aggregate, _least, None)),
    "max": Builtin(1, MANY, partial(_aggregate, _greatest, None)),
    "sum": Builtin(1, MANY, partial(_aggregate, _sum, None)),
    "product": Builtin(1, MANY, partial(_aggregate, _product, None)),
    "avg": Builtin(1, MANY, partial(_aggregate, _average, DOUBLE)),
    "median": Builtin(1, MANY, partial(_aggregate, _median, DOUBLE)),
    "abs": Builtin(1, 1, partial(_kept, np.abs)),
    "rint": Builtin(1, 1, partial(_kept, np.rint)),
    "pow": Builtin(2, 2, _power),
    "threshold": Builtin(2, 2, partial(_kept, _threshold)),
    "floor": Builtin(1, 1, partial(_typed, INTEGER, np.floor)),
    "ceil": Builtin(1, 1, partial(_typed, INTEGER, np.ceil)),
    "round": Builtin(1, 1, partial(_typed, INTEGER, _round)),
    **{
        name: Builtin(count, count, partial(_typed, DOUBLE, function))
        for name, (count, function) in _DOUBLES.items()
    },
}
"""The functions of numbers by name."""
