"""Records to try a model with: the lines of a CSV file, with the fields of a record type or of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from model_serving.client.record_files import RecordFile, wrong_line
from model_serving.client.trying.fields import TEXT, Field, Fields
from model_serving.client.trying.table import Table
from model_serving.core.batches import Features, RecordBatch
from model_serving.core.engine import Columns, RecordSchema
from model_serving.wire import RecordCodec

__all__ = ["ColumnRecords", "MessageRecords", "Part", "Records", "batch_of"]


@dataclass(frozen=True, slots=True)
class Part:
    """Some records. ``places`` are the numbers of those in ``features``, counted from 0.

    ``refused`` are the others: the place of each, and why a job refuses it.
    """

    places: npt.NDArray[np.int64]
    features: Features | None
    refused: Mapping[int, str] = field(default_factory=dict)


class Records(Protocol):
    """Records that a model can score."""

    @property
    def schema(self) -> RecordSchema:
        """The fields of the records."""
        ...

    def __len__(self) -> int:
        """How many records there are."""
        ...

    def part(self, start: int, stop: int) -> list[Part]:
        """Returns the records from ``start`` to before ``stop``."""
        ...


class ColumnRecords:
    """The lines of a table, whose columns are fields. An empty cell is a missing value.

    Call ``read`` first, with the fields that are needed: what is in other columns does not matter.
    """

    def __init__(self, table: Table, fields: Fields) -> None:
        self.schema = fields.schema(table.path.name)
        self._table = table
        self._fields = {one.name: one for one in fields.fields}
        self._values: dict[str, npt.NDArray[Any]] = {}
        self._empty = {place for place, row in enumerate(table.rows) if not any(map(str.strip, row.cells))}

    def read(self, names: Sequence[str]) -> None:
        """Reads the columns of these fields.

        Raises:
            ClientError: a field cannot hold the value of a cell.
        """
        for name in names:
            self._values[name] = self._column(self._fields[name])

    def __len__(self) -> int:
        """See ``Records``."""
        return len(self._table.rows)

    def part(self, start: int, stop: int) -> list[Part]:
        """See ``Records``."""
        wanted = range(start, min(stop, len(self)))
        places = np.array([place for place in wanted if place not in self._empty], dtype=np.int64)
        refused = {place: "the record has none of its fields set" for place in wanted if place in self._empty}
        if not len(places):
            return [Part(places, None, refused)]
        columns = _Columns(len(self), self._values)
        return [Part(places, columns.rows(places), refused)]

    def _column(self, field: Field) -> npt.NDArray[Any]:
        cells = self._table.cells(field.name)
        if field.type == TEXT:
            return np.array([cell.strip() for cell in cells], dtype=object)
        values = np.empty(len(cells))
        for place, cell in enumerate(cells):
            try:
                values[place] = field.number(cell)
            except ValueError as error:
                raise wrong_line(self._table.path, f"{self._table.rows[place].line}", error) from error
        return values


class _Columns:
    """See ``core.batches.Features``: n values for each field."""

    __slots__ = ("_n", "_values")

    def __init__(self, n: int, values: Mapping[str, npt.NDArray[Any]]) -> None:
        self._n = n
        self._values = values

    def columns(self, fields: tuple[str, ...]) -> Columns:
        taken = [self._values[name] for name in fields]
        if not taken:
            return np.empty((self._n, 0))
        is_text = any(values.dtype == object for values in taken)
        return np.column_stack([values.astype(object) if is_text else values for values in taken])

    def rows(self, index: npt.NDArray[np.intp]) -> _Columns:
        return _Columns(len(index), {name: values[index] for name, values in self._values.items()})


class MessageRecords:
    """Records as messages of a record type, which are read as a job reads them."""

    def __init__(self, file: RecordFile, codec: RecordCodec) -> None:
        self.schema = codec.schema
        self._codec = codec
        self._payloads = [record.payload for record in file.records]

    def __len__(self) -> int:
        """See ``Records``."""
        return len(self._payloads)

    def payload(self, place: int) -> bytes:
        """Returns the message of a record."""
        return self._payloads[place]

    def part(self, start: int, stop: int) -> list[Part]:
        """See ``Records``."""
        payloads = self._payloads[start:stop]
        decoded = self._codec.decode(payloads)
        if len(decoded.batches) == 1 and not decoded.refused:
            return [Part(np.arange(start, start + len(payloads)), decoded.batches[0].features)]
        return [self._single(place) for place in range(start, start + len(payloads))]

    def _single(self, place: int) -> Part:
        decoded = self._codec.decode([self._payloads[place]])
        if decoded.refused:
            return Part(np.array([], dtype=np.int64), None, {place: str(decoded.refused[0][1])})
        return Part(np.array([place]), decoded.batches[0].features)


def batch_of(part: Part, data_type: str) -> RecordBatch | None:
    """Returns the part as a batch whose payloads and times are the places of its records."""
    if part.features is None:
        return None
    payloads: Sequence[bytes] = [str(place).encode() for place in part.places.tolist()]
    return RecordBatch(data_type, payloads, part.places, part.features)
