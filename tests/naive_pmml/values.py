"""Values of PMML's data types as plain Python values (PMML 4.4, DataDictionary)."""

from __future__ import annotations

import math
import struct

__all__ = ["NoAnswer", "Value", "as_type", "equals", "read"]

Value = float | int | bool | str | None
"""A value; None is a missing one."""


class NoAnswer(Exception):
    """The record has no answer: it has an invalid value that the document does not accept."""


def read(text: str, data_type: str) -> Value:
    """Returns the value that a document spells."""
    if data_type == "string":
        return text
    if data_type == "boolean":
        return {"true": True, "false": False, "1": True, "0": False}[text.lower()]
    number = float({"INF": "inf", "-INF": "-inf"}.get(text, text))
    if data_type == "integer":
        return int(number) if math.isfinite(number) and number == int(number) else number
    return as_type(number, data_type)


def as_type(value: Value, data_type: str) -> Value:
    """Returns a value as one of another type; only the conversions that random documents use."""
    if value is None or data_type == "string":
        if not isinstance(value, (str, type(None))):
            raise KeyError(f"{value!r} as string")
        return value
    if isinstance(value, str):
        return read(value, data_type)
    if data_type == "float":
        return _single(float(value))
    if data_type == "double":
        return float(value)
    if data_type == "boolean":
        return bool(value)
    if data_type == "integer":
        return int(value)
    raise KeyError(data_type)


def equals(one: Value, other: Value) -> bool:
    """Whether two values that are not missing are the same; 1 and 1.0 are."""
    if isinstance(one, str) != isinstance(other, str):
        return False
    return one == other


def _single(number: float) -> float:
    try:
        return float(struct.unpack("f", struct.pack("f", number))[0])
    except OverflowError:
        return math.copysign(math.inf, number)
