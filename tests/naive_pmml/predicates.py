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
    found = [holds(part, record) for part in element]
    operator = element.attrib["booleanOperator"]
    if operator == "surrogate":
        return next((one for one in found if one is not None), None)
    if operator == "and":
        return False if False in found else (None if None in found else True)
    if operator == "or":
        return True if True in found else (None if None in found else False)
    if operator == "xor":
        return None if None in found else bool(sum(map(bool, found)) % 2)
    raise KeyError(operator)


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "equal": equals,
    "notEqual": lambda a, b: not equals(a, b),
    "lessThan": lambda a, b: a < b,
    "lessOrEqual": lambda a, b: a <= b,
    "greaterThan": lambda a, b: a > b,
    "greaterOrEqual": lambda a, b: a >= b,
}
