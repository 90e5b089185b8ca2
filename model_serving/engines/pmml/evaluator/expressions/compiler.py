"""Reads an expression element into what computes it (PMML 4.4: Transformations)."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from model_serving.engines.pmml.evaluator.data_types import (
    DOUBLE,
    INTEGER,
    STRING,
    Kind,
    as_single,
    constant,
    converted,
    numeric_reader,
    spelled_value,
)
from model_serving.engines.pmml.evaluator.nesting import STAGE, Staged, deep_parts
from model_serving.engines.pmml.evaluator.reading import Unsupported, children, decimal
from model_serving.engines.pmml.evaluator.scope import Field

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.batch import Batch
    from model_serving.engines.pmml.evaluator.record import Record
    from model_serving.engines.pmml.evaluator.scope import Expression, Program, Scope
    from model_serving.engines.pmml.evaluator.symbols import Numbers, Symbols

__all__ = [
    "EXPRESSIONS",
    "As",
    "Constant",
    "as_kind",
    "compile_expression",
    "compile_staged",
    "compile_whole",
]

_HERE = "model_serving.engines.pmml.evaluator.expressions"
_MODULES = {
    "NormContinuous": "normalization",
    "NormDiscrete": "normalization",
    "Discretize": "discretization",
    "MapValues": "mapping",
    "TextIndex": "text_index",
    "Apply": "functions",
    "Aggregate": "aggregation",
    "Lag": "aggregation",
}
EXPRESSIONS = frozenset({"Constant", "FieldRef", *_MODULES})
"""The elements that are expressions."""


def compile_expression(element: Element, scope: Scope) -> Expression:
    """Reads an expression.

    Raises:
        Unsupported: a part of it is not known.
    """
    nesting = scope.program.nesting
    if nesting.is_outermost:
        return compile_whole(element, scope)
    prepared = nesting.prepared.get(id(element))
    if prepared is not None:
        nesting.stand_on(prepared)
        return prepared
    return _staged(element, scope)[0]


def compile_whole(element: Element, scope: Scope) -> Expression:
    """Reads an expression that is not a part of another. However deep it nests, Python's stack does not.

    Raises:
        Unsupported: a part of it is not known.
    """
    return compile_staged(element, scope)[0]


def compile_staged(element: Element, scope: Scope) -> tuple[Expression, int, tuple[Field, ...]]:
    """Does the same as ``compile_whole``; gives the expression's height and the stages under it too."""
    nesting = scope.program.nesting
    parts = deep_parts(element, EXPRESSIONS)
    for part in parts:
        made, height, stages = _staged(part, scope)
        field = scope.program.field("", made.kind, made)
        nesting.keep(field, height, stages)
        nesting.prepared[id(part)] = field
    whole = _staged(element, scope)
    for part in parts:
        del nesting.prepared[id(part)]
    return whole


def _staged(element: Element, scope: Scope) -> tuple[Expression, int, tuple[Field, ...]]:
    """Returns an expression, its height, and the stages that it stands on; a high one becomes a stage."""
    nesting = scope.program.nesting
    nesting.enter()
    try:
        made = _compiled(element, scope)
    finally:
        height, stages = nesting.leave()
    if height >= STAGE:
        made = scope.program.field("", made.kind, Staged(made.kind, stages, made) if stages else made)
        height, stages = 0, (*stages, made)
        nesting.keep(made, height, stages)
    nesting.stand(height, stages)
    return made, height, stages


def _compiled(element: Element, scope: Scope) -> Expression:
    scope.program.count_expression()
    if element.tag == "Constant":
        return _read_constant(element, scope)
    if element.tag == "FieldRef":
        return _read_field_ref(element, scope)
    module = _MODULES.get(element.tag)
    if module is None:
        raise Unsupported(f"the expression {element.tag}")
    read: Any = import_module(f"{_HERE}.{module}")
    made: Expression = read.compile_expression(element, scope)
    return made


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
            return numeric_reader(self.kind.data_type)(record.texts.text(value))
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


@dataclass(frozen=True, slots=True)
class Constant:
    """The same value for every record."""

    kind: Kind
    value: float

    def evaluate(self, batch: Batch) -> Numbers:
        """See ``Expression.evaluate``."""
        return np.full(batch.n, self.value)

    def one(self, record: Record) -> float:
        """See ``Expression.one``."""
        return self.value


@dataclass(frozen=True, slots=True)
class _Reference:
    """A field, with another value where it is missing."""

    field: Field
    when_missing: float

    @property
    def kind(self) -> Kind:
        return self.field.kind

    def one(self, record: Record) -> float:
        value = self.field.one(record)
        return value if value == value else self.when_missing

    def evaluate(self, batch: Batch) -> Numbers:
        values = batch.value(self.field)
        missing = np.isnan(values)
        return np.where(missing, self.when_missing, values) if missing.any() else values


def _read_constant(element: Element, scope: Scope) -> Expression:
    children(element, {"dataType", "missing"})
    text = element.text or ""
    data_type = element.get("dataType")
    if element.get("missing") in {"true", "1"}:
        return Constant(Kind(data_type or "double", "continuous"), np.nan)
    if data_type is None:
        kind = _kind_of(text)
        return Constant(kind, constant(text, kind.data_type, scope.program.symbols))
    if data_type in {"double", "float"} and text.strip() == "NaN":
        return Constant(DOUBLE, np.nan)
    optype = "categorical" if data_type in {"string", "boolean"} else "continuous"
    return Constant(Kind(data_type, optype), constant(text, data_type, scope.program.symbols))


def _kind_of(text: str) -> Kind:
    """Returns the type of a constant without dataType, told from its text as the standard does."""
    try:
        decimal(text)
    except ValueError:
        return STRING
    return INTEGER if text.strip().lstrip("+-").isdigit() else DOUBLE


def _read_field_ref(element: Element, scope: Scope) -> Expression:
    children(element, {"field", "mapMissingTo"})
    field = scope.field(element.get("field"))
    replacement = element.get("mapMissingTo")
    if isinstance(field.expression, Constant) and field.expression.value == field.expression.value:
        return field.expression
    if replacement is None:
        return field
    return _Reference(field, constant(replacement, field.kind.data_type, scope.program.symbols))
