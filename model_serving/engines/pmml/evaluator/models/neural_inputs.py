"""Reads the inputs of a NeuralNetwork (PMML 4.4: NeuralNetwork)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model_serving.engines.pmml.evaluator.data_types import constant
from model_serving.engines.pmml.evaluator.expressions.compiler import derived_field
from model_serving.engines.pmml.evaluator.models.input_matrix import Category, InputMatrix, Scaled
from model_serving.engines.pmml.evaluator.models.linear import numeric_field
from model_serving.engines.pmml.evaluator.reading import (
    NOTHING,
    Unsupported,
    children,
    named,
    number,
    required,
)

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.scope import Field, Scope

__all__ = ["read_inputs"]


def read_inputs(element: Element, scope: Scope) -> tuple[InputMatrix, dict[str, int]]:
    """Reads ``NeuralInputs``.

    Returns:
        The inputs, and their places by their ids.

    Raises:
        Unsupported: a part is not known.
    """
    places: dict[str, int] = {}
    columns: list[Scaled | Category] = []
    for place, part in enumerate(children(element, {"numberOfInputs"}, ("NeuralInput",))):
        derived = children(part, {"id"}, ("DerivedField",))
        if len(derived) != 1:
            raise Unsupported("NeuralInput without one DerivedField")
        columns.append(_read(place, derived[0], scope))
        places[required(part, "id")] = place
    if len(places) != len(columns) or not places:
        raise Unsupported("NeuralInputs without a NeuralInput, or with two of the same id")
    return InputMatrix(columns), places


def _read(place: int, derived: Element, scope: Scope) -> Scaled | Category:
    expressions = [part for part in derived if part.tag not in {"Value", "Extension"}]
    plain = derived.get("dataType", "double") == "double" and len(expressions) == 1
    expression = expressions[0] if plain else derived
    if expression.tag == "NormDiscrete" and expression.attrib.keys() <= {"field", "value", "method"}:
        field = scope.field(required(expression, "field"))
        value = constant(required(expression, "value"), field.kind.data_type, scope.program.symbols)
        if expression.get("method", "indicator") == "indicator":
            return Category(place, field, value)
    if expression.tag == "FieldRef" and expression.attrib.keys() == {"field"}:
        return Scaled(place, numeric_field(scope, expression.get("field"), "NeuralInput"))
    if expression.tag == "NormContinuous" and expression.attrib.keys() == {"field"}:
        points = named(children(expression, {"field"}, ("LinearNorm",)), "LinearNorm")
        if len(points) == 2:
            return _line(place, numeric_field(scope, expression.get("field"), "NeuralInput"), points)
    return Scaled(place, derived_field(derived, scope))


def _line(place: int, field: Field, points: list[Element]) -> Scaled:
    (low, low_norm), (high, high_norm) = [_point(point) for point in points]
    if low == high:
        raise Unsupported("NormContinuous with two LinearNorms of the same orig")
    scale = (high_norm - low_norm) / (high - low)
    return Scaled(place, field, scale, low_norm - low * scale)


def _point(element: Element) -> tuple[float, float]:
    children(element, {"orig", "norm"}, NOTHING)
    return number(element, "orig"), number(element, "norm")
