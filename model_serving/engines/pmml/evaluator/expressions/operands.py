"""What the built-in functions share: arguments as numbers or texts, and a node that applies a function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from model_serving.engines.pmml.evaluator.data_types import DOUBLE, INTEGER, STRING, Kind, as_single
from model_serving.engines.pmml.evaluator.expressions.constants import Constant
from model_serving.engines.pmml.evaluator.expressions.conversions import as_kind
from model_serving.engines.pmml.evaluator.expressions.single import of_floats
from model_serving.engines.pmml.evaluator.reading import Unsupported
from model_serving.engines.pmml.evaluator.record import Failed, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from model_serving.engines.pmml.evaluator.batch import Batch
    from model_serving.engines.pmml.evaluator.scope import Expression, Program
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = [
    "MANY",
    "Builder",
    "Builtin",
    "Numeric",
    "as_kind",
    "as_number",
    "as_text",
    "number_kind",
    "numeric",
    "operands",
]

MANY = 10_000
"""The most arguments of a function that takes any number of them."""

Builder: TypeAlias = "Callable[[Sequence[Expression], Program], Expression]"
"""Makes what applies a function to arguments."""


class Builtin(NamedTuple):
    """A built-in function: how many arguments it takes, and what builds it."""

    least: int
    most: int
    build: Builder


def as_number(expression: Expression, program: Program) -> Expression:
    """Returns an expression whose values are numbers. A text must spell a number.

    Raises:
        Unsupported: the values are dates or times, or a constant that does not spell a number.
    """
    kind = expression.kind
    if kind.is_text:
        return as_kind(expression, DOUBLE, program)
    if kind.data_type in {"date", "time", "dateTime"}:
        raise Unsupported(f"a value of type {kind.data_type} where a function takes numbers")
    return expression


def as_text(expression: Expression, program: Program) -> Expression:
    """Returns an expression whose values are codes of texts."""
    return as_kind(expression, STRING, program)


def number_kind(arguments: Sequence[Expression]) -> Kind:
    """Returns the type that numbers of several types have together: integer < float < double."""
    types = {argument.kind.data_type for argument in arguments}
    for widest in ("double", "float"):
        if widest in types:
            return Kind(widest, "continuous")
    return INTEGER


def operands(arguments: Sequence[Expression], batch: Batch) -> list[Numbers]:
    """Returns the values of arguments; a constant after the first argument stays one number."""
    values = [arguments[0].evaluate(batch)]
    for argument in arguments[1:]:
        if type(argument) is Constant:
            values.append(argument.value)  # type: ignore[arg-type]
        else:
            values.append(argument.evaluate(batch))
    return values


@dataclass(frozen=True, slots=True)
class Numeric:
    """A function of numbers. A result that is not a number, of arguments that are, makes the record fail.

    With ``takes_missing`` a missing argument gives a missing result; without it the record fails too, because
    the standard says for such functions no result of a missing value.
    """

    kind: Kind
    function: Callable[..., Numbers]
    arguments: tuple[Expression, ...]
    takes_missing: bool
    of_floats: Callable[..., float]

    def evaluate(self, batch: Batch) -> Numbers:
        """See ``Expression.evaluate``."""
        values = operands(self.arguments, batch)
        made = self.function(*values)
        total = np.add.reduce(made)
        if total != total:  # some value is NaN, or there are infinite values of both signs
            self._fail(made, values, batch)
        return made

    def one(self, record: Record) -> float:
        """See ``Expression.one``."""
        arguments = self.arguments
        if len(arguments) == 2:
            # Exporters write long sums as additions of two, so this is the commonest of all expressions.
            left, right = arguments[0].one(record), arguments[1].one(record)
            made = self.of_floats(left, right)
            if made != made and not (self.takes_missing and (left != left or right != right)):
                raise Failed
            return made
        values = [argument.one(record) for argument in arguments]
        made = self.of_floats(*values)
        if made != made and not (self.takes_missing and any(one != one for one in values)):
            raise Failed
        return made

    def _fail(self, made: Numbers, values: Sequence[Numbers], batch: Batch) -> None:
        bad = np.isnan(made)
        if self.takes_missing:
            for value in values:
                bad &= ~np.isnan(value)
        if bad.any():
            batch.fail(bad)


def numeric(
    kind: Kind,
    function: Callable[..., Numbers],
    arguments: Sequence[Expression],
    *,
    takes_missing: bool = False,
    floats: Callable[..., float] | None = None,
) -> Expression:
    """Returns a function of numbers as an expression of a type; one of constants is computed here.

    Args:
        kind: the type of the result.
        function: computes it of arrays.
        arguments: the arguments.
        takes_missing: see ``Numeric``.
        floats: computes it of floats, where there is something faster than an array of one.
    """
    floats = floats or of_floats(function)
    if kind.data_type == "float":
        function, floats = _rounded(function), _rounded_float(floats)
    elif kind.data_type == "integer":
        kind = INTEGER
    if all(isinstance(argument, Constant) for argument in arguments):
        with np.errstate(all="ignore"):
            value = function(*(np.array([argument.value]) for argument in arguments))  # type: ignore[attr-defined]
        if value[0] == value[0]:
            return Constant(kind, float(value[0]))
    return Numeric(kind, function, tuple(arguments), takes_missing, floats)


def _rounded_float(function: Callable[..., float]) -> Callable[..., float]:
    return lambda *values: as_single(function(*values))


def _rounded(function: Callable[..., Numbers]) -> Callable[..., Numbers]:
    return lambda *values: function(*values).astype(np.float32).astype(np.float64)
