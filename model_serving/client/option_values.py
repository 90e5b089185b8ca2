"""Reads the values of command-line options.

All functions raise ``argparse.ArgumentTypeError`` for a value that is not allowed; its text says what is.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path
from typing import Generic, TypeVar

from model_serving.client.record_columns import LEFT_OUT
from model_serving.client.trying.fields import FIELD_TYPES, Field

__all__ = [
    "OneOf",
    "count",
    "fields",
    "inputs",
    "names",
    "not_negative",
    "place",
    "port",
    "positive",
    "rate",
    "some_text",
]

_Kinds = TypeVar("_Kinds", bound=IntEnum)


def port(text: str) -> int:
    """Reads a port."""
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"'{text}' is not a port: give a number from 1 to 65535")
    return int(text)


def place(text: str) -> Path | str:
    """Reads a path, or a URL, which stays text."""
    return text if "://" in text else Path(some_text(text))


def some_text(text: str) -> str:
    """Reads text that is not empty."""
    if not text.strip():
        raise argparse.ArgumentTypeError("give a name that is not empty")
    return text


def inputs(text: str) -> tuple[str, ...]:
    """Reads names with commas between them; a model may take a field twice."""
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise argparse.ArgumentTypeError(f"'{text}' has an empty name: give names with commas between them")
    return names


def names(text: str) -> tuple[str, ...]:
    """Reads names with commas between them. Only ``-`` may be there twice."""
    names = inputs(text)
    named = [name for name in names if name != LEFT_OUT]
    if twice := next((name for name in named if named.count(name) > 1), None):
        raise argparse.ArgumentTypeError(f"'{twice}' is there twice")
    return names


def fields(text: str) -> tuple[Field, ...]:
    """Reads fields as ``name:type`` with commas between them; a name alone is a double."""
    found = []
    for part in names(text):
        name, colon, kind = part.rpartition(":")
        field = Field(name.strip(), kind.strip()) if colon else Field(part)
        if not field.name or field.type not in FIELD_TYPES:
            raise argparse.ArgumentTypeError(
                f"'{part}' is not name:type with one of the types {', '.join(FIELD_TYPES)}"
            )
        found.append(field)
    if twice := next((one.name for one in found if [each.name for each in found].count(one.name) > 1), None):
        raise argparse.ArgumentTypeError(f"'{twice}' is there twice")
    return tuple(found)


class OneOf(Generic[_Kinds]):
    """Reads one of the allowed names, in upper or lower case."""

    def __init__(self, kinds: type[_Kinds], allowed: Sequence[str]) -> None:
        self.allowed = tuple(allowed)
        self._kinds = kinds

    def __call__(self, text: str) -> _Kinds:
        """Reads a name."""
        if text.upper() not in self.allowed:
            raise argparse.ArgumentTypeError(f"'{text}' is not one of {', '.join(self.allowed)}")
        return self._kinds[text.upper()]


def count(text: str) -> int:
    """Reads a whole number from 1 up."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a count: give a whole number from 1 up")
    return int(text)


def rate(text: str) -> float:
    """Reads a number above 0."""
    rate = not_negative(text)
    if rate == 0:
        raise argparse.ArgumentTypeError("give more than 0 records a second")
    return rate


def positive(text: str) -> float:
    """Reads a number above 0."""
    number = not_negative(text)
    if number == 0:
        raise argparse.ArgumentTypeError("give a number above 0")
    return number


def not_negative(text: str) -> float:
    """Reads a number from 0 up."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number from 0 up")
    return number
