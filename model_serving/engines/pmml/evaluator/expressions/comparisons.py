"""Built-in functions that compare values (PMML 4.4: Built-in functions).

Where an argument of a comparison is missing, the record has no result, as the standard says; ``isIn`` and
``isNotIn`` take missing values.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.data_types import BOOLEAN, DOUBLE, Kind
from model_serving.engines.pmml.evaluator.expressions.constants import Constant
from model_serving.engines.pmml.evaluator.expressions.operands import MANY, Builtin, as_kind, operands
from model_serving.engines.pmml.evaluator.expressions.single import of_floats
from model_serving.engines.pmml.evaluator.reading import Unsupported
from model_serving.engines.pmml.evaluator.record import ByBatch, Failed, Record
from model_serving.engines.pmml.evaluator.scope import Field

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from model_serving.engines.pmml.evaluator.batch import Batch, Mask
    from model_serving.engines.pmml.evaluator.scope import Expression, Program
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["FUNCTIONS", "logical"]


@dataclass(frozen=True, slots=True)
class _Logical:
    """A function with true or false for a result. A missing argument makes the record fail."""

    function: Callable[..., Any]
    arguments: tuple[Expression, ...]
    of_floats: Callable[..., bool]
    kind: Kind = BOOLEAN

    def one(self, record: Record) -> float:
        values = [argument.one(record) for argument in self.arguments]
        for value in values:
            if value != value:
                raise Failed
        return 1.0 if self.of_floats(*values) else 0.0

    def evaluate(self, batch: Batch) -> Numbers:
        values = operands(self.arguments, batch)
        for value in values:
            total = np.add.reduce(value, axis=None)
            if total != total:
                missing = np.isnan(value)
                if missing.any():
                    batch.fail(np.broadcast_to(missing, (batch.n,)))
        made: Numbers = self.function(*values).astype(np.float64)
        return made


def logical(
    function: Callable[..., Any], arguments: Sequence[Expression], floats: Callable[..., bool] | None = None
) -> Expression:
    """Returns a function with true or false for a result; no result where an argument is missing.

    Args:
        function: computes it of numpy arrays.
        arguments: the arguments.
        floats: computes it of floats, if ``function`` is not one of numpy.
    """
    return _Logical(function, tuple(arguments), floats or of_floats(function))


def _comparable(arguments: Sequence[Expression], program: Program) -> list[Expression]:
    """Returns two arguments as values of one type: texts are read as what the other argument is."""
    left, right = arguments
    if left.kind.data_type == right.kind.data_type or (left.kind.is_number and right.kind.is_number):
        return [left, right]
    if left.kind.is_text:
        return [_read_as(left, right.kind, program), right]
    if right.kind.is_text:
        return [left, _read_as(right, left.kind, program)]
    raise Unsupported(f"a comparison of {left.kind.data_type} and {right.kind.data_type}")


def _read_as(text: Expression, kind: Kind, program: Program) -> Expression:
    if kind.data_type == "integer":
        kind = DOUBLE  # 2.5 may be compared with a whole number
    return as_kind(text, kind, program)


def _equality(compare: Callable[..., Any], arguments: Sequence[Expression], program: Program) -> Expression:
    return logical(compare, _comparable(arguments, program))


def _order(compare: Callable[..., Any], arguments: Sequence[Expression], program: Program) -> Expression:
    left, right = _comparable(arguments, program)
    if not left.kind.is_text:
        return logical(compare, (left, right))
    ranks = next(
        (one.values for one in (left, right) if isinstance(one, Field) and one.kind.optype == "ordinal"), ()
    )
    return _TextOrder(compare, (left, right), tuple(ranks))


@dataclass(frozen=True, slots=True)
class _TextOrder(ByBatch):
    """Compares texts: by the declared order of an ordinal field, else letter by letter."""

    compare: Callable[..., Any]
    arguments: tuple[Expression, Expression]
    ranks: tuple[float, ...]
    kind: Kind = BOOLEAN

    def evaluate(self, batch: Batch) -> Numbers:
        left, right = (argument.evaluate(batch) for argument in self.arguments)
        missing = np.isnan(left) | np.isnan(right)
        if missing.any():
            batch.fail(missing)
        present = np.unique(np.concatenate((left, right))[~np.isnan(np.concatenate((left, right)))])
        if self.ranks:
            places = {code: float(place) for place, code in enumerate(self.ranks)}
            order = np.array([places.get(code, np.nan) for code in present.tolist()])
        else:
            spelled = sorted((batch.texts.text(code), code) for code in present.tolist())
            places = {code: float(place) for place, (_, code) in enumerate(spelled)}
            order = np.array([places[code] for code in present.tolist()])
        if not len(present):
            return np.zeros(batch.n)
        last = len(present) - 1
        ranked = [
            order[np.minimum(np.searchsorted(present, np.nan_to_num(side)), last)] for side in (left, right)
        ]
        made: Numbers = self.compare(*ranked).astype(np.float64)
        return made


@dataclass(frozen=True, slots=True)
class _IsIn:
    """Whether the first value equals one of the others. A missing value is in a list that has one."""

    value: Expression
    listed: tuple[float, ...]
    others: tuple[Expression, ...]
    wanted: bool
    kind: Kind = BOOLEAN

    def one(self, record: Record) -> float:
        value = self.value.one(record)
        others = [other.one(record) for other in self.others]
        if value == value:
            found = value in self.listed or value in others
        else:
            found = any(one != one for one in (*self.listed, *others))
        return float(found == self.wanted)

    def evaluate(self, batch: Batch) -> Numbers:
        values = self.value.evaluate(batch)
        found = self._found(values)
        for other in self.others:
            more = other.evaluate(batch)
            found |= (values == more) | (np.isnan(values) & np.isnan(more))
        return (found if self.wanted else ~found).astype(np.float64)

    def _found(self, values: Numbers) -> Mask:
        found: Mask
        if len(self.listed) <= 8:
            found = np.zeros(len(values), dtype=bool)
            for one in self.listed:
                found |= values == one
        else:
            found = np.isin(values, self.listed)
        if any(one != one for one in self.listed):
            found |= np.isnan(values)
        return found


def _is_in(wanted: bool, arguments: Sequence[Expression], program: Program) -> Expression:
    value, *others = arguments
    listed: list[float] = []
    rest: list[Expression] = []
    for other in others:
        kind = DOUBLE if value.kind.data_type == "integer" else value.kind
        same = other if other.kind.is_number and value.kind.is_number else as_kind(other, kind, program)
        if isinstance(same, Constant):
            listed.append(same.value)
        else:
            rest.append(same)
    return _IsIn(value, tuple(listed), tuple(rest), wanted)


FUNCTIONS: Mapping[str, Builtin] = {
    "equal": Builtin(2, 2, partial(_equality, np.equal)),
    "notEqual": Builtin(2, 2, partial(_equality, np.not_equal)),
    "lessThan": Builtin(2, 2, partial(_order, np.less)),
    "lessOrEqual": Builtin(2, 2, partial(_order, np.less_equal)),
    "greaterThan": Builtin(2, 2, partial(_order, np.greater)),
    "greaterOrEqual": Builtin(2, 2, partial(_order, np.greater_equal)),
    "isIn": Builtin(2, MANY, partial(_is_in, True)),
    "isNotIn": Builtin(2, MANY, partial(_is_in, False)),
}
"""The functions that compare, by name."""
