"""Records to try a model with: the lines of a CSV file, with the fields of a record type or of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from model_serving.client.record_files import RecordFile, wrong_line
from model_serving.client.trying.fields import TEXT, Fields
from model_serving.client.trying.table import Table
from model_serving.core.batches import Features, RecordBatch
from model_serving.core.engine import RecordSchema
from model_serving.wire import RecordCodec
from model_serving.wire.rows import Rows

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
    """The lines of a table, whose columns are fields. An empty cell is a missing value."""

    def __init__(self, table: Table, fields: Fields) -> None:
        """Reads all cells.

        Raises:
            ClientError: a field cannot hold the value of a cell.
        """
        self.schema = fields.schema(table.path.name)
        self._count = len(table.rows)
        numbers = [one for one in fields.fields if one.type != TEXT]
        columns = []
        for one in numbers:
            values = []
            for row, cell in zip(table.rows, table.cells(one.name), strict=True):
                try:
                    values.append(one.number(cell))
                except ValueError as error:
                    raise wrong_line(table.path, f"{row.line}", error) from error
            columns.append(values)
        texts = [
            [cell.strip() for cell in table.cells(one.name)] for one in fields.fields if one.type == TEXT
        ]
        rows = Rows(self._count, self.schema)
        for place in range(self._count):
            rows.put(
                place, "", place, [values[place] for values in columns], [values[place] for values in texts]
            )
        (batch,) = rows.batches([b""] * self._count)
        self._features = batch.features

    def __len__(self) -> int:
        """See ``Records``."""
        return self._count

    def part(self, start: int, stop: int) -> list[Part]:
        """See ``Records``."""
        places = np.arange(start, min(stop, self._count))
        return [Part(places, self._features.rows(places.astype(np.intp)))]


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
