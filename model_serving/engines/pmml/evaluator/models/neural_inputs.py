"""The inputs of a NeuralNetwork as one matrix: scaled numbers and categories are computed together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.batch import Gather
from model_serving.engines.pmml.evaluator.data_types import constant
from model_serving.engines.pmml.evaluator.expressions.compiler import derived_field
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

    from model_serving.engines.pmml.evaluator.batch import Batch
    from model_serving.engines.pmml.evaluator.scope import Field, Scope
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["NeuralInputs", "read_inputs"]


class NeuralInputs:
    """Computes the inputs. NaN is missing."""

    __slots__ = ("_categories", "_numbers", "_order", "_scales", "_shifts", "_wanted")

    def __init__(self, numbers: list[_Scaled], categories: list[_Category]) -> None:
        self._numbers = Gather([one.field for one in numbers]) if numbers else None
        scales, shifts = np.array([one.scale for one in numbers]), np.array([one.shift for one in numbers])
        is_plain = bool((scales == 1.0).all() and (shifts == 0.0).all())
        self._scales: Numbers | None = None if is_plain else scales
        self._shifts: Numbers | None = None if is_plain else shifts
        self._categories = Gather([one.field for one in categories]) if categories else None
        self._wanted = np.array([one.value for one in categories])
        places = [*(one.place for one in numbers), *(one.place for one in categories)]
        order = np.argsort(places)
        self._order = None if (order == np.arange(len(places))).all() else order

    def matrix(self, batch: Batch) -> Numbers:
        """Returns the inputs in the document's order, shape (n, inputs)."""
        made: list[Numbers] = []
        if self._numbers is not None:
            values = self._numbers.matrix(batch)
            if self._scales is not None and self._shifts is not None:
                values = values * self._scales + self._shifts
            made.append(values)
        if self._categories is not None:
            codes = self._categories.matrix(batch)
            chosen = (codes == self._wanted).astype(np.float64)
            chosen[np.isnan(codes)] = np.nan
            made.append(chosen)
        together = made[0] if len(made) == 1 else np.concatenate(made, axis=1)
        return together if self._order is None else together[:, self._order]


class _Scaled:
    """A field times ``scale`` plus ``shift``, as the input with this place."""

    __slots__ = ("field", "place", "scale", "shift")

    def __init__(self, place: int, field: Field, scale: float = 1.0, shift: float = 0.0) -> None:
        self.place, self.field, self.scale, self.shift = place, field, scale, shift


class _Category:
    """1 where a field has the value, else 0, as the input with this place."""

    __slots__ = ("field", "place", "value")

    def __init__(self, place: int, field: Field, value: float) -> None:
        self.place, self.field, self.value = place, field, value


def read_inputs(element: Element, scope: Scope) -> tuple[NeuralInputs, dict[str, int]]:
    """Reads ``NeuralInputs``.

    Returns:
        The inputs, and their places by their ids.

    Raises:
        Unsupported: a part is not known.
    """
    places: dict[str, int] = {}
    numbers: list[_Scaled] = []
    categories: list[_Category] = []
    for place, part in enumerate(children(element, {"numberOfInputs"}, ("NeuralInput",))):
        derived = children(part, {"id"}, ("DerivedField",))
        if len(derived) != 1:
            raise Unsupported("NeuralInput without one DerivedField")
        found = _read(place, derived[0], scope)
        (numbers if isinstance(found, _Scaled) else categories).append(found)  # type: ignore[arg-type]
        places[required(part, "id")] = place
    if len(places) != len(numbers) + len(categories) or not places:
        raise Unsupported("NeuralInputs without a NeuralInput, or with two of the same id")
    return NeuralInputs(numbers, categories), places


def _read(place: int, derived: Element, scope: Scope) -> _Scaled | _Category:
    expressions = [part for part in derived if part.tag not in {"Value", "Extension"}]
    plain = derived.get("dataType", "double") == "double" and len(expressions) == 1
    expression = expressions[0] if plain else derived
    if expression.tag == "NormDiscrete" and expression.attrib.keys() <= {"field", "value", "method"}:
        field = scope.field(required(expression, "field"))
        value = constant(required(expression, "value"), field.kind.data_type, scope.program.symbols)
        if expression.get("method", "indicator") == "indicator":
            return _Category(place, field, value)
    if expression.tag == "FieldRef" and expression.attrib.keys() == {"field"}:
        return _Scaled(place, numeric_field(scope, expression.get("field"), "NeuralInput"))
    if expression.tag == "NormContinuous" and expression.attrib.keys() == {"field"}:
        points = named(children(expression, {"field"}, ("LinearNorm",)), "LinearNorm")
        if len(points) == 2:
            return _line(place, numeric_field(scope, expression.get("field"), "NeuralInput"), points)
    return _Scaled(place, derived_field(derived, scope))


def _line(place: int, field: Field, points: list[Element]) -> _Scaled:
    (low, low_norm), (high, high_norm) = [_point(point) for point in points]
    if low == high:
        raise Unsupported("NormContinuous with two LinearNorms of the same orig")
    scale = (high_norm - low_norm) / (high - low)
    return _Scaled(place, field, scale, low_norm - low * scale)


def _point(element: Element) -> tuple[float, float]:
    children(element, {"orig", "norm"}, NOTHING)
    return number(element, "orig"), number(element, "norm")
