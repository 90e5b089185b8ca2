"""What an ``Apply`` gives for missing arguments and for missing or invalid results (PMML 4.4: Functions)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.data_types import STRING, constant
from model_serving.engines.pmml.evaluator.expressions.constants import Constant
from model_serving.engines.pmml.evaluator.expressions.conversions import As
from model_serving.engines.pmml.evaluator.reading import Unsupported, choice
from model_serving.engines.pmml.evaluator.record import ByBatch, Record
from model_serving.engines.pmml.evaluator.scope import Field

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.batch import Batch, Mask
    from model_serving.engines.pmml.evaluator.data_types import Kind
    from model_serving.engines.pmml.evaluator.scope import Expression, Program
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["once", "treated"]

_TREATMENTS = ("returnInvalid", "asIs", "asMissing")


def once(expression: Expression, program: Program) -> Expression:
    """Returns an expression that may stand in several places and is computed once."""
    if isinstance(expression, Field | Constant):
        return expression
    field = program.field("", expression.kind, expression)
    program.nesting.keep_current(field)
    return field


def treated(
    element: Element,
    arguments: Sequence[Expression],
    build: Callable[[Sequence[Expression]], Expression],
    program: Program,
) -> Expression:
    """Returns the application of a function, with what its element says about missing and invalid values.

    Raises:
        Unsupported: ``build`` raises it, or a treatment is not known.
    """
    when_missing, default = element.get("mapMissingTo"), element.get("defaultValue")
    when_invalid = choice(element, "invalidValueTreatment", _TREATMENTS, "returnInvalid")
    if when_missing is None and default is None and when_invalid != "asMissing":
        return build(arguments)
    is_choice = element.get("function") == "if"
    if when_missing is not None or when_invalid == "asMissing":
        arguments = [once(argument, program) for argument in arguments]
    made = build(arguments)
    if when_invalid == "asMissing":
        made = _InvalidAsMissing(made.kind, made, tuple(arguments[:1] if is_choice else arguments))
    if when_missing is not None:
        made, value = _with_constant(made, when_missing, program)
        # A choice looks at its condition only: what it does not choose may be missing.
        looked_at = tuple(arguments[:1] if is_choice else arguments)
        made = _MapMissing(made.kind, made, looked_at, value, is_choice)
    if default is not None:
        made, value = _with_constant(made, default, program)
        made = _DefaultValue(made.kind, made, value)
    return made


def _with_constant(made: Expression, text: str, program: Program) -> tuple[Expression, float]:
    """Returns a result and a constant as values of one type: the result's, else text."""
    try:
        return made, constant(text, made.kind.data_type, program.symbols)
    except Unsupported:
        return As(STRING, made), program.symbols.code(text)


@dataclass(frozen=True, slots=True)
class _MapMissing:
    """``mapMissingTo``: "the function is not applied at all" where an argument is missing."""

    kind: Kind
    inner: Expression
    arguments: tuple[Expression, ...]
    value: float
    is_choice: bool

    def one(self, record: Record) -> float:
        for argument in self.arguments:
            value = argument.one(record)
            if value != value:
                return self.value
        made = self.inner.one(record)
        return made if made == made or not self.is_choice else self.value

    def evaluate(self, batch: Batch) -> Numbers:
        missing: Mask = np.zeros(batch.n, dtype=bool)
        for argument in self.arguments:
            missing |= np.isnan(argument.evaluate(batch))
        with batch.aside():
            made = self.inner.evaluate(batch)
            failed = batch.failed
        if failed is not None and (failed & ~missing).any():
            batch.fail(failed & ~missing)
        if self.is_choice:
            missing |= np.isnan(made)
        return np.where(missing, self.value, made)


@dataclass(frozen=True, slots=True)
class _DefaultValue:
    """``defaultValue``: the result where the function's is missing."""

    kind: Kind
    inner: Expression
    value: float

    def one(self, record: Record) -> float:
        made = self.inner.one(record)
        return made if made == made else self.value

    def evaluate(self, batch: Batch) -> Numbers:
        made = self.inner.evaluate(batch)
        missing = np.isnan(made)
        return np.where(missing, self.value, made) if missing.any() else made


@dataclass(frozen=True, slots=True)
class _InvalidAsMissing(ByBatch):
    """``invalidValueTreatment="asMissing"``: a function without a result for its arguments gives missing."""

    kind: Kind
    inner: Expression
    arguments: tuple[Expression, ...]

    def evaluate(self, batch: Batch) -> Numbers:
        with batch.aside():
            for argument in self.arguments:
                argument.evaluate(batch)
            before = batch.failed
        with batch.aside():
            made = self.inner.evaluate(batch)
            failed = batch.failed
        if failed is None:
            return made
        if before is not None:
            batch.fail(before)
            failed = failed & ~before
        return np.where(failed, np.nan, made)
