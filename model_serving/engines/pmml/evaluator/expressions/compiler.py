"""Reads an expression element into what computes it (PMML 4.4: Transformations)."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from model_serving.engines.pmml.evaluator.data_types import Kind, constant
from model_serving.engines.pmml.evaluator.expressions.constants import Constant, read_constant
from model_serving.engines.pmml.evaluator.nesting import STAGE, Staged, deep_parts
from model_serving.engines.pmml.evaluator.reading import Unsupported, children
from model_serving.engines.pmml.evaluator.scope import Field

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.batch import Batch
    from model_serving.engines.pmml.evaluator.record import Record
    from model_serving.engines.pmml.evaluator.scope import Expression, Scope
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = [
    "EXPRESSIONS",
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
        return read_constant(element, scope)
    if element.tag == "FieldRef":
        return _read_field_ref(element, scope)
    module = _MODULES.get(element.tag)
    if module is None:
        raise Unsupported(f"the expression {element.tag}")
    read: Any = import_module(f"{_HERE}.{module}")
    made: Expression = read.compile_expression(element, scope)
    return made


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


def _read_field_ref(element: Element, scope: Scope) -> Expression:
    children(element, {"field", "mapMissingTo"})
    field = scope.field(element.get("field"))
    replacement = element.get("mapMissingTo")
    if isinstance(field.expression, Constant) and field.expression.value == field.expression.value:
        return field.expression
    if replacement is None:
        return field
    return _Reference(field, constant(replacement, field.kind.data_type, scope.program.symbols))
