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
    "WrongCell",
    "check_width",
    "load_record_type",
    "no_records",
    "read_record_file",
    "read_records",
    "read_rows",
    "wrong_line",
]


class WrongCell(ValueError):
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
    rows = read_rows(path)
    records: list[FileRecord] = []
    line = rows[0].line
    try:
        found = find_columns(rows, record_type, columns)
        for row in rows[found.headers :]:
            line = row.line
            check_width(row, rows[0])
            records.append(_record(row, found, record_type, data_type))
    except WrongCell as error:
        raise wrong_line(path, f"{line}, column {error.column}", error) from error
    except ValueError as error:
        raise wrong_line(path, f"{line}", error) from error
    if not records:
        raise no_records(path)
    assumed = [found.assumed] if found.assumed else []
    if record_type.data_type in found.fields:
        assumed.append(f"records have the data type in their column, or '{data_type}' if it is empty")
    if record_type.time is not None and record_type.time in found.fields:
        assumed.append("records have the time in their column, or the time of sending if it is empty")
    return RecordFile(tuple(records), tuple(f"{path}: {line}" for line in assumed))


def read_rows(path: Path, *, with_empty_cells: bool = False) -> list[Row]:
    """Returns the lines of a CSV file that are not empty, with any number of cells; at least one line.

    ``with_empty_cells``: a line with nothing but separators is one of them.

    Raises:
        ClientError: the file cannot be read, is not a CSV file in UTF-8, or is empty.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in _rows(file, path) if with_empty_cells or any(map(str.strip, row.cells))]
    except OSError as error:
        raise ClientError(f"{path} cannot be read ({error.strerror}): give a CSV file of records") from error
    except UnicodeDecodeError as error:
        raise ClientError(f"{path} is not text in UTF-8: give a CSV file of records") from error
    if not rows:
        raise no_records(path)
    return rows


def check_width(row: Row, first: Row) -> None:
    """Raises ValueError unless a line has as many cells as the first one."""
    if len(row.cells) != len(first.cells):
        raise ValueError(f"{len(row.cells)} columns, but the lines before it have {len(first.cells)}")


def _rows(file: TextIO, path: Path) -> Iterator[Row]:
    # The whole file is read at once, because a pipe cannot be read twice.
    text = file.read()
    first = text.lstrip().partition("\n")[0]
    rows = csv.reader(
        io.StringIO(text, newline=""), delimiter=";" if ";" in first else ",", skipinitialspace=True
    )
    try:
        for cells in rows:
            if len(cells) > 1 or any(cell.strip() for cell in cells):
                yield Row(rows.line_num, cells)
    except csv.Error as error:
        raise wrong_line(path, f"{rows.line_num}", error) from error


def _record(row: Row, columns: Columns, record_type: RecordType, data_type: str) -> FileRecord:
    values: dict[str, Any] = {record_type.data_type.name: data_type}
    has_time = False
    for number, (field, cell) in enumerate(zip(columns.fields, row.cells, strict=True), start=1):
        if field is None or (field in {record_type.data_type, record_type.time} and not cell.strip()):
            continue
        try:
            value = cell_value(field, cell)
        except ValueError as error:
            raise WrongCell(number, str(error)) from None
        if value is not None:
            values[field.name] = value
            has_time = has_time or field == record_type.time
    try:
        return FileRecord(record_type.message(**values).SerializeToString(), has_time)
    except EncodeError as error:
        raise ValueError(f"it cannot be a {record_type.name} ({error})") from None


def wrong_line(path: Path, line: str, error: Exception) -> ClientError:
    """Returns the error about a line of a file."""
    return ClientError(f"{path}, line {line}: {error}; correct the line or remove it")


def no_records(path: Path) -> ClientError:
    """Returns the error about a file without records."""
    return ClientError(f"{path} has no records: give a CSV file with a record on each line")
