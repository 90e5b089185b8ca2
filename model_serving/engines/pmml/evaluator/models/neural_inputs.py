"""Reads the inputs of a NeuralNetwork (PMML 4.4: NeuralNetwork)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model_serving.engines.pmml.evaluator.expressions.derived import derived_field
from model_serving.engines.pmml.evaluator.models.input_matrix import InputMatrix
from model_serving.engines.pmml.evaluator.models.linear import NOT_NUMBERS
from model_serving.engines.pmml.evaluator.reading import Unsupported, children, required

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
    columns: list[Field] = []
    for place, part in enumerate(children(element, {"numberOfInputs"}, ("NeuralInput",))):
        derived = children(part, {"id"}, ("DerivedField",))
        if len(derived) != 1:
            raise Unsupported("NeuralInput without one DerivedField")
        field = derived_field(derived[0], scope)
        if field.kind.data_type in NOT_NUMBERS:
            raise Unsupported(f"a NeuralInput of type {field.kind.data_type}, which is not a number")
        columns.append(field)
        places[required(part, "id")] = place
    if len(places) != len(columns) or not places:
        raise Unsupported("NeuralInputs without a NeuralInput, or with two of the same id")
    return InputMatrix(columns), places
