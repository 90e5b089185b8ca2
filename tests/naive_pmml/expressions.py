"""Expressions and built-in functions (PMML 4.4, Transformations, Built-in functions)."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tests.naive_pmml.values import NoAnswer, Value, equals, read

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from tests.naive_pmml.fields import Record

__all__ = ["evaluate"]


def evaluate(element: Element, record: Record) -> Value:
    """Returns the value of an expression for a record; what is not a number is missing."""
    made = _EXPRESSIONS[element.tag](element, record)
    return None if isinstance(made, float) and math.isnan(made) else made


def _constant(element: Element, _: Record) -> Value:
    return read(element.text or "", element.get("dataType") or "double")


def _reference(element: Element, record: Record) -> Value:
    name = str(element.get("field"))
    value = record.value(name)
    if value is None and "mapMissingTo" in element.attrib:
        return read(element.attrib["mapMissingTo"], record.type_of(name))
    return value


def _norm_continuous(element: Element, record: Record) -> Value:
    value = record.value(str(element.get("field")))
    if value is None:
        return _optional(element, "mapMissingTo")
    points = [(float(one.attrib["orig"]), float(one.attrib["norm"])) for one in element]
    place = float(value)
    outliers = element.get("outliers", "asIs")
    if place < points[0][0] or place > points[-1][0]:
        if outliers == "asMissingValues":
            return _optional(element, "mapMissingTo")
        if outliers == "asExtremeValues":
            return points[0][1] if place < points[0][0] else points[-1][1]
    # Between two points, or on the line through the first two or the last two.
    index = next((at for at in range(1, len(points) - 1) if place < points[at][0]), len(points) - 1)
    (x1, y1), (x2, y2) = points[index - 1], points[index]
    return y1 + (place - x1) / (x2 - x1) * (y2 - y1)


def _norm_discrete(element: Element, record: Record) -> Value:
    name = str(element.get("field"))
    value = record.value(name)
    if value is None:
        return _optional(element, "mapMissingTo")
    return 1.0 if equals(value, read(element.attrib["value"], record.type_of(name))) else 0.0


def _discretize(element: Element, record: Record) -> Value:
    value = record.value(str(element.get("field")))
    if value is None:
        return element.get("mapMissingTo")
    for bin_ in element:
        if _holds(bin_[0], float(value)):
            return bin_.get("binValue")
    return element.get("defaultValue")


def _holds(interval: Element, value: float) -> bool:
    closure = interval.attrib["closure"]
    low, high = interval.get("leftMargin"), interval.get("rightMargin")
    above = low is None or value > float(low) or (value == float(low) and closure.startswith("closed"))
    below = high is None or value < float(high) or (value == float(high) and closure.endswith("Closed"))
    return above and below


def _map_values(element: Element, record: Record) -> Value:
    given = {one.attrib["column"]: record.value(str(one.get("field"))) for one in element if one.get("field")}
    if any(value is None for value in given.values()):
        return element.get("mapMissingTo")
    for row in element.iterfind("InlineTable/row"):
        if all(row.findtext(column) == value for column, value in given.items()):
            return row.findtext(element.attrib["outputColumn"])
    return element.get("defaultValue")


def _apply(element: Element, record: Record) -> Value:
    name = element.attrib["function"]
    if name == "if":
        condition = evaluate(element[0], record)
        if condition is None:
            return _of_missing(element, name)
        if condition:
            return evaluate(element[1], record)
        return evaluate(element[2], record) if len(element) == 3 else None
    values = [evaluate(part, record) for part in element]
    if name in {"isMissing", "isNotMissing"}:
        return (values[0] is None) == (name == "isMissing")
    if name in _OF_MANY:
        present = [value for value in values if value is not None]
        return _OF_MANY[name](present) if present else _optional(element, "mapMissingTo")
    if name == "concat":
        values = [value for value in values if value is not None]
    if any(value is None for value in values):
        return _of_missing(element, name)
    made = _FUNCTIONS[name](*values)
    return _optional(element, "defaultValue") if made is None else made


def _of_missing(element: Element, name: str) -> Value:
    """Returns the value of a function of which an argument is missing.

    Raises:
        NoAnswer: the function needs all arguments, and the document does not say what to do instead.
    """
    if name not in _LENIENT and "mapMissingTo" not in element.attrib:
        raise NoAnswer(f"{name} of a missing value")
    return _optional(element, "mapMissingTo")


def _optional(element: Element, attribute: str) -> Value:
    text = element.get(attribute)
    return None if text is None else float(text)


def _power(one: float, other: float) -> float:
    try:
        return float(one**other)
    except OverflowError:
        return math.inf


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def _whole(function: Callable[[float], int], value: float) -> float:
    return float(function(value)) if math.isfinite(value) else value


_OF_MANY: dict[str, Callable[[Sequence[Any]], Value]] = {
    "min": min,
    "max": max,
    "sum": math.fsum,
    "avg": statistics.fmean,
    "median": statistics.median,
    "product": math.prod,
}
"""Functions of any number of arguments, which ignore missing ones."""

_FUNCTIONS: dict[str, Callable[..., Value]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "log10": math.log10,
    "ln": math.log,
    "sqrt": math.sqrt,
    "abs": abs,
    "exp": _exp,
    "pow": _power,
    "threshold": lambda a, b: 1.0 if a > b else 0.0,
    "floor": lambda a: _whole(math.floor, a),
    "ceil": lambda a: _whole(math.ceil, a),
    "round": lambda a: _whole(lambda one: math.floor(one + 0.5), a),
    "rint": lambda a: _whole(round, a),
    "modulo": lambda a, b: a - b * math.floor(a / b),
    "equal": equals,
    "notEqual": lambda a, b: not equals(a, b),
    "lessThan": lambda a, b: a < b,
    "lessOrEqual": lambda a, b: a <= b,
    "greaterThan": lambda a, b: a > b,
    "greaterOrEqual": lambda a, b: a >= b,
    "and": lambda *values: all(values),
    "or": lambda *values: any(values),
    "not": lambda a: not a,
    "isIn": lambda a, *values: any(equals(a, one) for one in values),
    "isNotIn": lambda a, *values: not any(equals(a, one) for one in values),
    "uppercase": lambda a: a.upper(),
    "lowercase": lambda a: a.lower(),
    "trimBlanks": lambda a: a.strip(),
    "concat": lambda *values: "".join(values),
    "substring": lambda a, start, length: a[int(start) - 1 : int(start) - 1 + int(length)],
}

_LENIENT = frozenset("+-*/")
"""Functions of which a missing argument gives a missing result; others need all arguments, or have none."""

_EXPRESSIONS: dict[str, Callable[[Element, Record], Value]] = {
    "Constant": _constant,
    "FieldRef": _reference,
    "NormContinuous": _norm_continuous,
    "NormDiscrete": _norm_discrete,
    "Discretize": _discretize,
    "MapValues": _map_values,
    "Apply": _apply,
}
