"""Predicates: true, false, or None for unknown (PMML 4.4, Predicates)."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.naive_pmml.values import equals, read

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from tests.naive_pmml.fields import Record

__all__ = ["PREDICATES", "holds", "predicate_of"]

PREDICATES = ("True", "False", "SimplePredicate", "SimpleSetPredicate", "CompoundPredicate")
"""The elements that are predicates."""


def predicate_of(element: Element) -> Element:
    """Returns the predicate of a Node or Segment."""
    return next(part for part in element if part.tag in PREDICATES)


def holds(element: Element, record: Record) -> bool | None:
    """Whether a predicate is true for a record; None when a missing value leaves it unknown."""
    if element.tag in {"True", "False"}:
        return element.tag == "True"
    if element.tag == "CompoundPredicate":
        return _compound(element, record)
    name = str(element.get("field"))
    value = record.value(name)
    if element.tag == "SimpleSetPredicate":
        if value is None:
            return None
        texts = shlex.split(element[0].text or "")
        is_in = any(equals(value, read(text, record.type_of(name))) for text in texts)
        return is_in == (element.attrib["booleanOperator"] == "isIn")
    operator = element.attrib["operator"]
    if operator in {"isMissing", "isNotMissing"}:
        return (value is None) == (operator == "isMissing")
    if value is None:
        return None
    return _COMPARISONS[operator](value, read(element.attrib["value"], record.type_of(name)))


def _compound(element: Element, record: Record) -> bool | None:
    """Evaluates the parts in order, as far as it takes to know."""
    operator = element.attrib["booleanOperator"]
    found: list[bool | None] = []
    for part in element:
        found.append(holds(part, record))
        if (operator, found[-1]) in {("and", False), ("or", True)}:
            return found[-1]
        if operator == "surrogate" and found[-1] is not None:
            return found[-1]
    if None in found or operator == "surrogate":
        return None
    return {"and": True, "or": False, "xor": bool(sum(map(bool, found)) % 2)}[operator]


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "equal": equals,
    "notEqual": lambda a, b: not equals(a, b),
    "lessThan": lambda a, b: a < b,
    "lessOrEqual": lambda a, b: a <= b,
    "greaterThan": lambda a, b: a > b,
    "greaterOrEqual": lambda a, b: a >= b,
}
