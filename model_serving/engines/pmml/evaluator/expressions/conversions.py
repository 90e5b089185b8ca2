"""Values of one type as values of another (PMML 4.4: Data Dictionary, dataType)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from model_serving.engines.pmml.evaluator.data_types import (
    Kind,
    as_single,
    constant,
    converted,
    numeric_reader,
    spelled_value,
)
from model_serving.engines.pmml.evaluator.expressions.constants import Constant
from model_serving.engines.pmml.evaluator.reading import Unsupported
from model_serving.engines.pmml.evaluator.record import Failed

if TYPE_CHECKING:
    from model_serving.engines.pmml.evaluator.batch import Batch
    from model_serving.engines.pmml.evaluator.record import Record
    from model_serving.engines.pmml.evaluator.scope import Expression, Program
    from model_serving.engines.pmml.evaluator.symbols import Numbers, Symbols

__all__ = ["As", "as_kind"]


def as_kind(expression: Expression, kind: Kind, program: Program) -> Expression:
    """Returns an expression as values of a type; what the document spells is converted here.

    Raises:
        Unsupported: one type cannot become the other, or a constant does not spell a value
            of the type.
    """
    if expression.kind.data_type == kind.data_type:
        return expression
    if isinstance(expression, Constant):
        return _constant_as(expression, kind, program)
    if isinstance(expression, Spelled):
        try:
            return expression.as_kind(kind, program.symbols)
        except Unsupported:
            pass  # only records that get such a value fail
    if expression.kind.is_number and kind.data_type in {"double", "float"}:
        return _Rounded(kind, expression) if kind.data_type == "float" else _Retyped(kind, expression)
    return As(kind, expression)


def _constant_as(expression: Constant, kind: Kind, program: Program) -> Expression:
    value = expression.value
    if value != value:
        return Constant(kind, value)
    if expression.kind.is_text:
        text = program.symbols.texts[int(value)]
        return Constant(kind, constant(text, kind.data_type, program.symbols))
    if kind.data_type == "string":
        return Constant(kind, program.symbols.code(spelled_value(expression.kind.data_type)(value)))
    if expression.kind.is_number and kind.data_type == "double":
        return Constant(kind, value)
    return As(kind, expression)


@runtime_checkable
class Spelled(Protocol):
    """An expression whose values the document spells: they can be read as values of another type."""

    def as_kind(self, kind: Kind, symbols: Symbols) -> Expression:
        """Returns the expression with values of another type.

        Raises:
            Unsupported: a value does not spell one of the type.
        """
        ...


@dataclass(frozen=True, slots=True)
class As:
    """A value as another type. A value that does not spell one of the type makes its record fail."""

    kind: Kind
    inner: Expression

    def evaluate(self, batch: Batch) -> Numbers:
        """See ``Expression.evaluate``."""
        return self._converted(self.inner.evaluate(batch), batch)

    def one(self, record: Record) -> float:
        """See ``Expression.one``."""
        value = self.inner.one(record)
        if value != value or (self.kind.data_type == "double" and self.inner.kind.is_number):
            return value
        if self.inner.kind.is_text:
            try:
                return numeric_reader(self.kind.data_type)(record.texts.text(value))
            except ValueError:
                raise Failed from None
        if self.kind.is_text:
            return record.texts.code(spelled_value(self.inner.kind.data_type)(value))
        if self.kind.data_type == "float" and self.inner.kind.is_number:
            return as_single(value)
        if self.kind.data_type == "integer" and self.inner.kind.is_number and float(value).is_integer():
            return value
        return float(record.of_batch(lambda batch: self._converted(np.array((value,)), batch))[0])

    def _converted(self, given: Numbers, batch: Batch) -> Numbers:
        values, bad = converted(given, self.inner.kind, self.kind, batch.texts)
        if bad is not None:
            batch.fail(bad)
        return values


@dataclass(frozen=True, slots=True)
class _Retyped:
    """Numbers under the name of another type, with the same values."""

    kind: Kind
    inner: Expression

    def evaluate(self, batch: Batch) -> Numbers:
        return self.inner.evaluate(batch)

    def one(self, record: Record) -> float:
        return self.inner.one(record)


@dataclass(frozen=True, slots=True)
class _Rounded:
    """Numbers rounded to 32 bits."""

    kind: Kind
    inner: Expression

    def evaluate(self, batch: Batch) -> Numbers:
        return self.inner.evaluate(batch).astype(np.float32).astype(np.float64)

    def one(self, record: Record) -> float:
        return as_single(self.inner.one(record))
