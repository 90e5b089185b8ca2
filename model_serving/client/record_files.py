"""Reads the records of a CSV file as protobuf messages that are ready to send."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from google.protobuf.message import EncodeError

from model_serving.client.errors import ClientError
from model_serving.client.record_cells import cell_value
from model_serving.client.record_columns import Columns, Row, find_columns
from model_serving.client.record_types import DEFAULT_RECORD_TYPE, RecordType, load_record_type

__all__ = [
    "DEFAULT_RECORD_TYPE",
    "FileRecord",
    "RecordFile",
    "RecordType",
    "load_record_type",
    "read_record_file",
    "read_records",
]


class _WrongCellError(ValueError):
    """The field cannot hold the value of a cell."""

    def __init__(self, column: int, why: str) -> None:
        super().__init__(why)
        self.column = column


class FileRecord(NamedTuple):
    """A serialized record. A record without a time gets the time at which it is sent."""

    payload: bytes
    has_time: bool = False


@dataclass(frozen=True, slots=True)
class RecordFile:
    """The records of a file. ``assumed`` has a line for each thing that was assumed or may surprise."""

    records: tuple[FileRecord, ...]
    assumed: tuple[str, ...]


def read_records(path: Path, record_type: RecordType, data_type: str) -> list[bytes]:
    """Returns the serialized records of a file whose columns need no explanation (``read_record_file``)."""
    return [record.payload for record in read_record_file(path, record_type, data_type).records]


def read_record_file(
    path: Path, record_type: RecordType, data_type: str, columns: Sequence[str] | None = None
) -> RecordFile:
    """Returns every record of a CSV file.

    The separator is ``;`` if the first line that is not empty has one, else ``,``. A first line with names of
    the record's fields is a header. Its columns are found by name (spaces, dots, dashes and underscores are
    equal, upper and lower case too), and columns with other names are left out. ``dataType`` and ``ts``
    (epoch milliseconds) are columns like others; an empty cell in them means ``data_type`` and the time of
    sending. Without a header, columns are in field order, and one more column at the end is left out if it is
    clearly a label.

    Args:
        path: the file.
        record_type: the protobuf message that a line becomes.
        data_type: the data type of records that have none in the file.
        columns: the field of each column, used instead of a header; ``-`` leaves a column out.

    Raises:
        ClientError: the file cannot be read, or a line is not a record; the text has the line's number.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _read(file, path, record_type, data_type, columns)
    except OSError as error:
        raise ClientError(f"{path} cannot be read ({error.strerror}): give a CSV file of records") from error
    except UnicodeDecodeError as error:
        raise ClientError(f"{path} is not text in UTF-8: give a CSV file of records") from error


def _read(
    file: TextIO, path: Path, record_type: RecordType, data_type: str, named: Sequence[str] | None
) -> RecordFile:
    rows = list(_rows(file, path))
    records: list[FileRecord] = []
    if not rows:
        raise _no_records(path)
    line = rows[0].line
    try:
        columns = find_columns(rows, record_type, named)
        for row in rows[columns.headers :]:
            line = row.line
            if len(row.cells) != len(rows[0].cells):
                raise ValueError(
                    f"{len(row.cells)} columns, but the lines before it have {len(rows[0].cells)}"
                )
            records.append(_record(row, columns, record_type, data_type))
    except _WrongCellError as error:
        raise _wrong_line(path, f"{line}, column {error.column}", error) from error
    except ValueError as error:
        raise _wrong_line(path, f"{line}", error) from error
    if not records:
        raise _no_records(path)
    assumed = [columns.assumed] if columns.assumed else []
    if record_type.data_type in columns.fields:
        assumed.append(f"records have the data type in their column, or '{data_type}' if it is empty")
    if record_type.time is not None and record_type.time in columns.fields:
        assumed.append("records have the time in their column, or the time of sending if it is empty")
    return RecordFile(tuple(records), tuple(f"{path}: {line}" for line in assumed))


def _rows(file: TextIO, path: Path) -> Iterator[Row]:
    # The whole file is read at once, because a pipe cannot be read twice.
    text = file.read()
    first = text.lstrip().partition("\n")[0]
    rows = csv.reader(
        io.StringIO(text, newline=""), delimiter=";" if ";" in first else ",", skipinitialspace=True
    )
    try:
        for cells in rows:
            if any(cell.strip() for cell in cells):
                yield Row(rows.line_num, cells)
    except csv.Error as error:
        raise _wrong_line(path, f"{rows.line_num}", error) from error


def _record(row: Row, columns: Columns, record_type: RecordType, data_type: str) -> FileRecord:
    values: dict[str, Any] = {record_type.data_type.name: data_type}
    has_time = False
    for number, (field, cell) in enumerate(zip(columns.fields, row.cells, strict=True), start=1):
        if field is None or (field in {record_type.data_type, record_type.time} and not cell.strip()):
            continue
        try:
            value = cell_value(field, cell)
        except ValueError as error:
            raise _WrongCellError(number, str(error)) from None
        if value is not None:
            values[field.name] = value
            has_time = has_time or field == record_type.time
    try:
        return FileRecord(record_type.message(**values).SerializeToString(), has_time)
    except EncodeError as error:
        raise ValueError(f"it cannot be a {record_type.name} ({error})") from None


def _wrong_line(path: Path, line: str, error: Exception) -> ClientError:
    return ClientError(f"{path}, line {line}: {error}; correct the line or remove it")


def _no_records(path: Path) -> ClientError:
    return ClientError(f"{path} has no records: give a CSV file with a record on each line")
