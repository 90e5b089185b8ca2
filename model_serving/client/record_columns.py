"""Finds the field of a record for each column of a CSV file.

A header gives the fields, or ``--columns``, or else the order of columns: the fields by their numbers, and
perhaps a label after them. An additional column before them is never guessed, because a wrong guess would
give every value to another field.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.descriptor import FieldDescriptor

from model_serving.client.errors import WrongCall
from model_serving.client.record_cells import is_number, is_whole_number, may_be_absent
from model_serving.client.record_types import RecordType

__all__ = ["LEFT_OUT", "Columns", "Row", "find_columns", "spelling"]

LEFT_OUT = "-"
"""The name in ``--columns`` for a column that is left out."""

_SEPARATORS = str.maketrans(" .-", "___")


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the file that is not empty. The first line of the file has the ``line`` 1."""

    line: int
    cells: Sequence[str]


@dataclass(frozen=True, slots=True)
class Columns:
    """The field of each column, None for a column that is left out.

    ``headers`` is the number of rows at the top that are not records. ``assumed`` says in one line what is
    assumed because the file and the user do not say it.
    """

    fields: tuple[FieldDescriptor | None, ...]
    headers: int
    assumed: str = ""


def find_columns(rows: Sequence[Row], record_type: RecordType, named: Sequence[str] | None) -> Columns:
    """Returns the columns of a file with at least one row. ``named`` is the value of ``--columns``, or None.

    Raises:
        WrongCall: ``named`` has a name twice, has a name that is not a field, or lacks a field.
        ValueError: the first row does not fit, or it is not clear which columns are which fields.
    """
    first = rows[0].cells
    if named is not None:
        return _as_told(first, record_type, named)
    fields = _by_name(first, record_type)
    if any(fields):
        if missing := _missing(fields, record_type):
            raise ValueError(f"the header has no column '{missing}'")
        return Columns(fields, 1, _left_out(first, fields, record_type))
    if not any(map(is_number, first)) and any(
        field.cpp_type != FieldDescriptor.CPPTYPE_STRING for field in record_type.fields
    ):
        raise ValueError(
            f"it has no number and no name of a field of {record_type.name} ({_names(record_type)}): "
            "name the columns in a header or with --columns"
        )
    return _in_order(rows, record_type)


def _as_told(first: Sequence[str], record_type: RecordType, named: Sequence[str]) -> Columns:
    fields = _by_name([name if name != LEFT_OUT else "" for name in named], record_type)
    for name, field in zip(named, fields, strict=True):
        if field is None and name != LEFT_OUT:
            again = _by_name([name], record_type)[0] is not None
            raise WrongCall(
                f"--columns: '{name}' is there twice"
                if again
                else f"--columns: {record_type.name} has no field '{name}' (it has {_names(record_type)}): "
                f"write {LEFT_OUT} for a column to leave out"
            )
    if missing := _missing(fields, record_type):
        raise WrongCall(f"--columns: the field '{missing}' is missing")
    if len(first) != len(named):
        raise ValueError(f"{len(first)} columns, but --columns names {len(named)}")
    of_numbers = [
        cell
        for cell, field in zip(first, fields, strict=True)
        if field is not None and field.cpp_type != FieldDescriptor.CPPTYPE_STRING
    ]
    is_header = any(_by_name(first, record_type)) or (
        bool(of_numbers) and all(cell.strip() and not is_number(cell) for cell in of_numbers)
    )
    return Columns(fields, int(is_header))


def _in_order(rows: Sequence[Row], record_type: RecordType) -> Columns:
    width, fields = len(rows[0].cells), record_type.fields
    taken = f"it has no header: its columns are taken as {_names(record_type)}"
    if width == len(fields):
        return Columns(fields, 0, taken)
    if width != len(fields) + 1:
        raise ValueError(
            f"{width} columns and no header, but a record has {len(fields)} fields ({_names(record_type)}): "
            "name the columns in a header or with --columns"
        )
    if not _is_label_last(rows, record_type):
        raise ValueError(
            f"{width} columns and no header, one more than the fields of a record ({_names(record_type)}), "
            "and the last one is not clearly a label: name the columns in a header, or with --columns, "
            f"{LEFT_OUT} for the column to leave out"
        )
    return Columns((*fields, None), 0, f"{taken}; the last one is left out, as a label")


def _is_label_last(rows: Sequence[Row], record_type: RecordType) -> bool:
    """Whether the additional column is the last one: it has classes, and the first column is not a key."""
    last = [row.cells[-1] for row in rows if row.cells]
    if not any(cell.strip() for cell in last):
        return True
    classes = all(is_whole_number(cell) or not is_number(cell) for cell in last)
    first = [row.cells[0].strip() for row in rows if row.cells]
    text_first = record_type.fields[0].cpp_type == FieldDescriptor.CPPTYPE_STRING
    keys = len(set(first)) == len(first) and (text_first or all(map(is_whole_number, first)))
    return classes and not keys


def _by_name(names: Sequence[str], record_type: RecordType) -> tuple[FieldDescriptor | None, ...]:
    """Returns the field for each name. If two names give the same field, only the first one gets it."""
    known = [*record_type.fields, record_type.data_type]
    if record_type.time is not None:
        known.append(record_type.time)
    spelled = {spelling(field.name): field for field in reversed(known)}
    # Databases often use this name for the column of the data type.
    spelled.setdefault("data_type", record_type.data_type)
    found: list[FieldDescriptor | None] = []
    for name in names:
        field = spelled.get(spelling(name))
        found.append(None if field in found else field)
    return tuple(found)


def _missing(fields: Sequence[FieldDescriptor | None], record_type: RecordType) -> str | None:
    return next(
        (field.name for field in record_type.fields if field not in fields and not may_be_absent(field)), None
    )


def _left_out(
    header: Sequence[str], fields: Sequence[FieldDescriptor | None], record_type: RecordType
) -> str:
    others = [f"'{name.strip()}'" for name, field in zip(header, fields, strict=True) if field is None]
    if not others:
        return ""
    return f"left out, because {record_type.name} has no such field: {', '.join(others)}"


def _names(record_type: RecordType) -> str:
    return ", ".join(field.name for field in record_type.fields)


def spelling(name: str) -> str:
    """Returns a name as columns and fields are compared: without case, separators taken as equal."""
    return name.strip().translate(_SEPARATORS).casefold()
