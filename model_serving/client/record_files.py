"""Records in a CSV file, as protobuf messages that are ready to send but for their time."""

from __future__ import annotations

import csv
import importlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from model_serving.client.errors import ClientError, WrongCall
from model_serving.wire import RecordCodec

__all__ = ["DEFAULT_RECORD_TYPE", "RecordType", "load_record_type", "read_records"]

DEFAULT_RECORD_TYPE = "model_serving.protos.winerecord_pb2:WineRecord"

_DATA_TYPE, _TIME = "dataType", "ts"
_SEPARATORS = str.maketrans(" .-", "___")
_INTEGERS = {
    FieldDescriptor.CPPTYPE_BOOL,
    FieldDescriptor.CPPTYPE_INT32,
    FieldDescriptor.CPPTYPE_INT64,
    FieldDescriptor.CPPTYPE_UINT32,
    FieldDescriptor.CPPTYPE_UINT64,
}


@dataclass(frozen=True, slots=True)
class RecordType:
    """A protobuf message with ``dataType`` and ``ts``; the fields that models can take are the columns."""

    message: type[Message]
    fields: tuple[FieldDescriptor, ...]
    """In field-number order."""
    time_tag: bytes | None
    """The wire tag of ``ts``, None when the message has no such field."""

    def stamp(self, ts: int) -> bytes:
        """Appended to a serialized record, gives it its time, epoch milliseconds."""
        return b"" if self.time_tag is None else self.time_tag + _varint(ts)


def load_record_type(name: str) -> RecordType:
    """The record type called ``module:Message``: the same that the jobs take.

    Raises:
        WrongCall: there is no such message, or it cannot be a record.
    """
    try:
        schema = RecordCodec(name).schema
    except ValueError as error:
        raise WrongCall(f"--record-type: {error}") from error
    module, _, class_name = name.partition(":")
    message: type[Message] = getattr(importlib.import_module(module), class_name)
    by_name = message.DESCRIPTOR.fields_by_name
    fields = sorted(
        (by_name[field] for field in (*schema.numeric, *schema.text)), key=lambda field: field.number
    )
    time = by_name.get(_TIME)
    return RecordType(message, tuple(fields), None if time is None else _varint(time.number << 3))


def read_records(path: Path, record_type: RecordType, data_type: str) -> list[bytes]:
    """Every record of a CSV file, serialized, without a time.

    The separator is ``;`` where the first line has one, else ``,``. A first line that names fields of the
    record is a header: columns go by name (spaces, dots, dashes and underscores are equal, case is ignored)
    and those which name no field are left out. Without one, columns are in field order, and one more column
    is the label.

    Raises:
        ClientError: the file cannot be read, or a line is no record; the text has the line's number.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            records = list(_records(file, path, record_type, data_type))
    except OSError as error:
        raise ClientError(f"{path} cannot be read ({error.strerror}): give a CSV file of records") from error
    except UnicodeDecodeError as error:
        raise ClientError(f"{path} is no text in UTF-8: give a CSV file of records") from error
    if not records:
        raise ClientError(f"{path} has no records: give a CSV file with a record on each line")
    return records


def _records(file: TextIO, path: Path, record_type: RecordType, data_type: str) -> Iterator[bytes]:
    first = file.readline()
    file.seek(0)
    rows = csv.reader(file, delimiter=";" if ";" in first else ",", skipinitialspace=True)
    columns: Sequence[int] | None = None
    width = 0
    try:
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            if columns is None:
                header = _columns_by_name(row, record_type)
                columns = header or range(len(record_type.fields))
                width = len(row)
                if header is not None:
                    continue
                if width not in {len(columns), len(columns) + 1}:
                    raise ValueError(_wrong_width(width, record_type))
            if len(row) != width:
                raise ValueError(f"{len(row)} columns, but the lines before it have {width}")
            yield _record([row[column] for column in columns], record_type, data_type)
    except (ValueError, csv.Error) as error:
        raise ClientError(
            f"{path}, line {rows.line_num}: {error}; correct the line or take it out"
        ) from error


def _columns_by_name(row: Sequence[str], record_type: RecordType) -> list[int] | None:
    """For each field its column, None when the row is no header."""
    places = {_spelling(cell): column for column, cell in reversed(list(enumerate(row)))}
    found = [places.get(_spelling(field.name)) for field in record_type.fields]
    if not any(column is not None for column in found):
        return None
    columns = [column for column in found if column is not None]
    if len(columns) < len(found):
        missing = record_type.fields[found.index(None)].name
        raise ValueError(f"the header has no column '{missing}'")
    return columns


def _wrong_width(width: int, record_type: RecordType) -> str:
    names = ", ".join(field.name for field in record_type.fields)
    count = len(record_type.fields)
    return (
        f"{width} columns and no header; a record has {count} ({names}), and one more column may be its label"
    )


def _record(cells: Sequence[str], record_type: RecordType, data_type: str) -> bytes:
    values: dict[str, Any] = {_DATA_TYPE: data_type}
    for field, cell in zip(record_type.fields, cells, strict=True):
        values[field.name] = _value(field, cell.strip())
    return record_type.message(**values).SerializeToString()


def _value(field: FieldDescriptor, cell: str) -> float | int | str:
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return cell
    try:
        number = int(cell) if field.cpp_type in _INTEGERS else float(cell)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"'{cell}' is no number for '{field.name}'")
    return number


def _spelling(name: str) -> str:
    return name.strip().translate(_SEPARATORS).casefold()


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
