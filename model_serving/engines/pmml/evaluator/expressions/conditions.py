"""Built-in functions that compare, combine and choose (PMML 4.4: Built-in functions).

Where the standard says no result of a missing argument (comparisons, ``and``, ``or``, ``not``, ``if``), the
record has no result; ``isMissing``, ``isIn`` and the like take missing values.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from functools import partial, reduce
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.data_types import BOOLEAN, DOUBLE, Kind, common_kind
from model_serving.engines.pmml.evaluator.expressions.compiler import As, Constant
from model_serving.engines.pmml.evaluator.expressions.operands import Builtin, as_kind, operands
from model_serving.engines.pmml.evaluator.expressions.single import of_floats
from model_serving.engines.pmml.evaluator.reading import Unsupported
from model_serving.engines.pmml.evaluator.record import ByBatch, Record, Undecided
from model_serving.engines.pmml.evaluator.scope import Field

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from model_serving.engines.pmml.evaluator.batch import Batch, Mask
    from model_serving.engines.pmml.evaluator.scope import Expression, Program
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["FUNCTIONS"]

_MANY = 10_000


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
                raise Undecided
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


def _logical(
    function: Callable[..., Any], arguments: Sequence[Expression], floats: Callable[..., bool] | None = None
) -> Expression:
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
    return _logical(compare, _comparable(arguments, program))


def _order(compare: Callable[..., Any], arguments: Sequence[Expression], program: Program) -> Expression:
    left, right = _comparable(arguments, program)
    if not left.kind.is_text:
        return _logical(compare, (left, right))
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


def _truth(arguments: Sequence[Expression], program: Program) -> list[Expression]:
    return [as_kind(argument, BOOLEAN, program) for argument in arguments]


def _combination(
    combine: Callable[..., Any], arguments: Sequence[Expression], program: Program
) -> Expression:
    def function(*values: Numbers) -> Any:
        return reduce(combine, [np.not_equal(value, 0.0) for value in values])

    def floats(*values: float) -> bool:
        return reduce(combine, [value != 0.0 for value in values])

    return _logical(function, _truth(arguments, program), floats)


def _not(arguments: Sequence[Expression], program: Program) -> Expression:
    return _logical(lambda value: value == 0.0, _truth(arguments, program), lambda value: value == 0.0)


@dataclass(frozen=True, slots=True)
class _IsMissing:
    """Whether a value is missing (1), or is not (0)."""

    argument: Expression
    wanted: bool
    kind: Kind = BOOLEAN

    def one(self, record: Record) -> float:
        value = self.argument.one(record)
        return float((value != value) == self.wanted)

    def evaluate(self, batch: Batch) -> Numbers:
        missing = np.isnan(self.argument.evaluate(batch))
        return (missing if self.wanted else ~missing).astype(np.float64)


def _is_missing(wanted: bool, arguments: Sequence[Expression], _: Program) -> Expression:
    return _IsMissing(arguments[0], wanted)


@dataclass(frozen=True, slots=True)
class _IsValid(ByBatch):
    """Whether a value can be computed and is not missing. An invalid value does not make the record fail."""

    argument: Expression
    wanted: bool
    kind: Kind = BOOLEAN

    def evaluate(self, batch: Batch) -> Numbers:
        with batch.aside():
            good = ~np.isnan(self.argument.evaluate(batch))
            if batch.failed is not None:
                good &= ~batch.failed
        return (good if self.wanted else ~good).astype(np.float64)


def _is_valid(wanted: bool, arguments: Sequence[Expression], _: Program) -> Expression:
    return _IsValid(arguments[0], wanted)


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


@dataclass(frozen=True, slots=True)
class _If:
    """Chooses between two values. What makes a record fail in the branch that it does not take is ignored."""

    kind: Kind
    condition: Expression
    then: Expression
    other: Expression

    def one(self, record: Record) -> float:
        condition = self.condition.one(record)
        if condition != condition:
            raise Undecided
        return self.then.one(record) if condition == 1.0 else self.other.one(record)

    def evaluate(self, batch: Batch) -> Numbers:
        condition = self.condition.evaluate(batch)
        total = np.add.reduce(condition)
        if total == batch.n:
            return self.then.evaluate(batch)
        if total == 0.0:
            return self.other.evaluate(batch)
        missing = np.isnan(condition) if total != total else None
        if missing is not None:
            batch.fail(missing)
        chosen = condition == 1.0
        then = self._branch(self.then, chosen, batch)
        others = ~chosen if missing is None else ~(chosen | missing)
        made = np.where(chosen, then, self._branch(self.other, others, batch))
        if missing is not None:
            made[missing] = np.nan
        return made

    def _branch(self, branch: Expression, takes: Mask, batch: Batch) -> Numbers | float:
        if type(branch) is Constant:
            return branch.value
        with batch.aside():
            values = branch.evaluate(batch)
            failed = batch.failed
        if failed is not None and (failed & takes).any():
            batch.fail(failed & takes)
        return values


def _if(arguments: Sequence[Expression], program: Program) -> Expression:
    condition = as_kind(arguments[0], BOOLEAN, program)
    then = arguments[1]
    other = arguments[2] if len(arguments) > 2 else Constant(then.kind, np.nan)
    kinds = [
        branch.kind
        for branch in (then, other)
        if not (isinstance(branch, Constant) and branch.value != branch.value)
    ]
    kind = common_kind(kinds or [then.kind])
    then, other = _typed(then, kind), _typed(other, kind)
    return _If(kind, condition, then, other)


def _typed(branch: Expression, kind: Kind) -> Expression:
    if isinstance(branch, Constant) and branch.value != branch.value:
        return Constant(kind, np.nan)
    if branch.kind.data_type == kind.data_type or not kind.is_text:
        return branch  # numbers are numbers
    return As(kind, branch)


FUNCTIONS: Mapping[str, Builtin] = {
    "equal": Builtin(2, 2, partial(_equality, np.equal)),
    "notEqual": Builtin(2, 2, partial(_equality, np.not_equal)),
    "lessThan": Builtin(2, 2, partial(_order, np.less)),
    "lessOrEqual": Builtin(2, 2, partial(_order, np.less_equal)),
    "greaterThan": Builtin(2, 2, partial(_order, np.greater)),
    "greaterOrEqual": Builtin(2, 2, partial(_order, np.greater_equal)),
    "and": Builtin(2, _MANY, partial(_combination, operator.and_)),
    "or": Builtin(2, _MANY, partial(_combination, operator.or_)),
    "not": Builtin(1, 1, _not),
    "isMissing": Builtin(1, 1, partial(_is_missing, True)),
    "isNotMissing": Builtin(1, 1, partial(_is_missing, False)),
    "isValid": Builtin(1, 1, partial(_is_valid, True)),
    "isNotValid": Builtin(1, 1, partial(_is_valid, False)),
    "isIn": Builtin(2, _MANY, partial(_is_in, True)),
    "isNotIn": Builtin(2, _MANY, partial(_is_in, False)),
    "if": Builtin(2, 3, _if),
}
"""The functions that compare, combine and choose, by name."""
