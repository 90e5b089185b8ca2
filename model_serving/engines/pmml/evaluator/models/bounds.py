"""Splits of a node in two at a threshold, read straight from the attributes: nearly all of a large forest."""

from __future__ import annotations

from math import inf, nextafter
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.reading import decimal

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.scope import Field, Scope

__all__ = ["OPPOSITES", "Bounds"]

OPPOSITES = {
    "lessOrEqual": "greaterThan",
    "greaterThan": "lessOrEqual",
    "lessThan": "greaterOrEqual",
    "greaterOrEqual": "lessThan",
}
"""For each operator the one that is true for all other numbers."""


class Bounds:
    """Reads pairs of predicates over the fields of one scope."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._fields: dict[str | None, Field | None] = {}

    def split(self, first: Element, second: Element) -> tuple[Field, float, bool] | None:
        """Reads two predicates of which each is true where the other is false.

        Returns:
            The field, the greatest value that goes the low way, and whether this is the way of the first
            predicate. None if the predicates are of any other form: then nothing is said about them.
        """
        one, other = first.attrib, second.attrib
        if len(one) != 3 or len(other) != 3 or len(first) or len(second):
            return None
        if first.tag != "SimplePredicate" or second.tag != "SimplePredicate":
            return None
        operator, name, text = one.get("operator"), one.get("field"), one.get("value")
        if operator is None or other.get("field") != name or other.get("value") != text or text is None:
            return None
        if OPPOSITES.get(operator) != other.get("operator"):
            return None
        field = self.compared(name)
        if field is None:
            return None
        try:
            threshold = decimal(text)
        except ValueError:
            return None
        if field.kind.data_type == "float":
            threshold = float(np.float32(threshold))
        if operator in {"lessThan", "greaterOrEqual"}:
            threshold = nextafter(threshold, -inf)
        return field, threshold, operator in {"lessThan", "lessOrEqual"}

    def compared(self, name: str | None) -> Field | None:
        """Returns the field with this name if its values are compared as numbers."""
        if name in self._fields:
            return self._fields[name]
        field = self._scope.field(name)
        kind = field.kind
        is_number = kind.data_type in {"integer", "double", "float"}
        self._fields[name] = field if is_number and not (kind.optype == "ordinal" and field.values) else None
        return self._fields[name]
