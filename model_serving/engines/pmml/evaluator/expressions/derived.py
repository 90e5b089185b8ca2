"""Derived fields: what a DerivedField computes, and its declaration (PMML 4.4: Transformations)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model_serving.engines.pmml.evaluator.data_types import constant, read_kind
from model_serving.engines.pmml.evaluator.expressions.compiler import EXPRESSIONS, compile_staged
from model_serving.engines.pmml.evaluator.expressions.conversions import as_kind
from model_serving.engines.pmml.evaluator.nesting import Staged
from model_serving.engines.pmml.evaluator.reading import Unsupported, children, required
from model_serving.engines.pmml.evaluator.scope import Field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.scope import Scope

__all__ = ["declare_derived", "declare_derived_field", "derived_field"]


def derived_field(element: Element, scope: Scope) -> Field:
    """Reads a DerivedField: its expression, as a value of its type.

    Raises:
        Unsupported: a part of it is not known.
    """
    name = element.get("name", "")
    parts = children(
        element,
        {"name", "displayName", "optype", "dataType", "x-mathContext"},
        {*EXPRESSIONS, "Value"},
    )
    expressions = [part for part in parts if part.tag != "Value"]
    if len(expressions) != 1:
        raise Unsupported(f"DerivedField '{name}' without one expression")
    made, height, stages = compile_staged(expressions[0], scope)
    kind = read_kind(element, made.kind)
    values = tuple(
        constant(part.get("value", ""), kind.data_type, scope.program.symbols)
        for part in parts
        if part.tag == "Value" and part.get("property", "valid") == "valid"
    )
    made = as_kind(made, kind, scope.program)
    if isinstance(made, Field):  # the same values under another name
        field = Field(name, kind, made.slot, made.expression, values, made.column)
    else:
        field = scope.program.field(name, kind, Staged(kind, stages, made) if stages else made, values)
    scope.program.nesting.keep(field, height + 1, stages)
    return field


def declare_derived(transformations: Element | None, scope: Scope) -> None:
    """Declares the DerivedFields of a TransformationDictionary or of LocalTransformations in a scope."""
    if transformations is None:
        return
    for element in children(transformations, {"for"}, ("DerivedField", "DefineFunction")):
        if element.tag == "DerivedField":
            declare_derived_field(element, scope)


def declare_derived_field(element: Element, scope: Scope) -> None:
    """Declares a DerivedField in a scope. It is read at its first use."""
    scope.declare_later(required(element, "name"), _reader(element, scope), _needs(element))


def _needs(element: Element) -> Callable[[], Iterable[str]]:
    """Returns what gives the names of the fields that a derived field refers to."""
    return lambda: [
        part.attrib[attribute]
        for part in element.iter()
        for attribute in ("field", "textField")
        if attribute in part.attrib
    ]


def _reader(element: Element, scope: Scope) -> Callable[[], Field]:
    return lambda: derived_field(element, scope)
