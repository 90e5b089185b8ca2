"""Built-in functions that combine truths, ask for missing values, and choose (PMML 4.4: Built-in functions).

Where an argument of ``and``, ``or``, ``not`` or ``if`` is missing, the record has no result, as the standard
says; ``isMissing``, ``isValid`` and the like take missing values.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from functools import partial, reduce
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.data_types import BOOLEAN, Kind, common_kind
from model_serving.engines.pmml.evaluator.expressions.comparisons import logical
from model_serving.engines.pmml.evaluator.expressions.constants import Constant
from model_serving.engines.pmml.evaluator.expressions.conversions import As
from model_serving.engines.pmml.evaluator.expressions.operands import MANY, Builtin, as_kind
from model_serving.engines.pmml.evaluator.record import ByBatch, Failed, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from model_serving.engines.pmml.evaluator.batch import Batch, Mask
    from model_serving.engines.pmml.evaluator.scope import Expression, Program
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["FUNCTIONS"]


def _truth(arguments: Sequence[Expression], program: Program) -> list[Expression]:
    return [as_kind(argument, BOOLEAN, program) for argument in arguments]


def _combination(
    combine: Callable[..., Any], arguments: Sequence[Expression], program: Program
) -> Expression:
    def function(*values: Numbers) -> Any:
        return reduce(combine, [np.not_equal(value, 0.0) for value in values])

    def floats(*values: float) -> bool:
        return reduce(combine, [value != 0.0 for value in values])

    return logical(function, _truth(arguments, program), floats)


def _not(arguments: Sequence[Expression], program: Program) -> Expression:
    return logical(lambda value: value == 0.0, _truth(arguments, program), lambda value: value == 0.0)


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
class _If:
    """Chooses between two values. What makes a record fail in the branch that it does not take is ignored."""

    kind: Kind
    condition: Expression
    then: Expression
    other: Expression

    def one(self, record: Record) -> float:
        condition = self.condition.one(record)
        if condition != condition:
            raise Failed
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
    "and": Builtin(2, MANY, partial(_combination, operator.and_)),
    "or": Builtin(2, MANY, partial(_combination, operator.or_)),
    "not": Builtin(1, 1, _not),
    "isMissing": Builtin(1, 1, partial(_is_missing, True)),
    "isNotMissing": Builtin(1, 1, partial(_is_missing, False)),
    "isValid": Builtin(1, 1, partial(_is_valid, True)),
    "isNotValid": Builtin(1, 1, partial(_is_valid, False)),
    "if": Builtin(2, 3, _if),
}
"""The functions that combine truths, ask for missing values, and choose, by name."""
