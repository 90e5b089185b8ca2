"""Reads a cell of a CSV file as the value of a record's field."""

from __future__ import annotations

import math
import re
import struct
from decimal import Decimal, InvalidOperation

from google.protobuf.descriptor import FieldDescriptor

__all__ = ["cell_value", "is_number", "is_whole_number", "may_be_absent"]

_BITS = {
    FieldDescriptor.CPPTYPE_INT32: 32,
    FieldDescriptor.CPPTYPE_UINT32: 32,
    FieldDescriptor.CPPTYPE_INT64: 64,
    FieldDescriptor.CPPTYPE_UINT64: 64,
}
_UNSIGNED = {FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_UINT64}
_TRUTHS = {"true": True, "false": False}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_MOST_DIGITS = 30
_LONGEST_SHOWN = 40


def cell_value(field: FieldDescriptor, cell: str) -> float | int | str | None:
    """Returns the value of a field, or None for an empty cell if the field can be unset.

    A whole number may be written with a fraction of zero (``5.0``), a bool as ``true``, ``false``, ``1`` or
    ``0``.

    Raises:
        ValueError: the field cannot hold the value of the cell.
    """
    cell = cell.strip()
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return cell if cell or not may_be_absent(field) else None
    if not cell and may_be_absent(field):
        return None
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return _truth(field, cell)
    if not is_number(cell):
        raise ValueError(f"'{_shown(cell)}' is not a number for '{field.name}'")
    if field.cpp_type in _BITS:
        return _whole(field, cell)
    return _float(field, cell)


def may_be_absent(field: FieldDescriptor) -> bool:
    """Whether the field can be unset, and a record says whether it is."""
    return bool(field.has_presence) and field.label != FieldDescriptor.LABEL_REQUIRED


def is_number(cell: str) -> bool:
    """Whether a cell is a finite number in digits."""
    return _NUMBER.fullmatch(cell.strip()) is not None


def is_whole_number(cell: str) -> bool:
    """Whether a cell is a number without a fraction."""
    return is_number(cell) and float(cell).is_integer()


def _truth(field: FieldDescriptor, cell: str) -> bool:
    known = _TRUTHS.get(cell.casefold())
    if known is not None:
        return known
    if is_number(cell) and float(cell) in {0.0, 1.0}:
        return float(cell) == 1.0
    raise ValueError(f"'{_shown(cell)}' is neither true nor false, which '{field.name}' takes")


def _whole(field: FieldDescriptor, cell: str) -> int:
    try:
        number = Decimal(cell)
    except InvalidOperation:
        number = Decimal("Infinity")
    bits = _BITS[field.cpp_type]
    least, beyond = (0, 2**bits) if field.cpp_type in _UNSIGNED else (-(2 ** (bits - 1)), 2 ** (bits - 1))
    # The range is checked before the number becomes an int, because 1e999999999 would take all memory.
    if number.is_nan() or not least <= number < beyond:
        raise ValueError(
            f"'{_shown(cell)}' is out of range for '{field.name}', which holds {least} to {beyond - 1}"
        )
    if number.adjusted() < -_MOST_DIGITS or number != number.to_integral_value():
        raise ValueError(f"'{_shown(cell)}' is not a whole number for '{field.name}'")
    return int(number)


def _float(field: FieldDescriptor, cell: str) -> float:
    number = float(cell)
    if not math.isfinite(number):
        raise ValueError(f"'{_shown(cell)}' is too large for '{field.name}'")
    if field.cpp_type == FieldDescriptor.CPPTYPE_FLOAT:
        try:
            struct.pack("<f", number)
        except OverflowError:
            raise ValueError(
                f"'{_shown(cell)}' is too large for '{field.name}', a number of 32 bits (up to 3.4e38)"
            ) from None
    return number


def _shown(cell: str) -> str:
    return cell if len(cell) <= _LONGEST_SHOWN else f"{cell[:_LONGEST_SHOWN]}…"
