"""Collects the values of many records while they are read, and makes batches by data type of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from model_serving.core.batches import UNKNOWN_ORIGIN, Origins, RecordBatch
from model_serving.core.engine import Columns, RecordSchema

__all__ = ["PackedBatches", "Places", "Rows", "pack", "unpack"]

PackedBatches = tuple[
    Sequence[str], Sequence[int], Sequence[bytes], bytes, bytes, Mapping[str, Sequence[str]], bytes
]
"""Batches in plain values, for moving them between operators: the data types and lengths of the batches, then
the payloads, timestamps, numbers, texts and origins of all records, one batch after the other. Without a
record whose origin is known there are no origins."""

_SELECTIONS = 1024
"""How many selections of fields are remembered. Models that take the same fields share one."""

_NONE = -1
"""Stands for the data type of a message that is not a record."""

Places = npt.NDArray[np.intp]
"""The places of records in their vector, shape (m,)."""


def pack(batches: Sequence[RecordBatch]) -> PackedBatches:
    """N ≥ 1 batches of ``Rows`` as plain values, which pickle in a tenth of the time that objects take."""
    tables = [cast(_Features, batch.features) for batch in batches]
    return (
        [batch.data_type for batch in batches],
        [len(batch.payloads) for batch in batches],
        [payload for batch in batches for payload in batch.payloads],
        b"".join([batch.submission_ts.tobytes() for batch in batches]),
        b"".join([table.numbers.tobytes() for table in tables]),
        {name: [text for table in tables for text in table.texts[name].tolist()] for name in tables[0].texts},
        _packed_origins(batches),
    )


def _packed_origins(batches: Sequence[RecordBatch]) -> bytes:
    if all(batch.origins is None for batch in batches):
        return b""
    unknown = (np.full(len(batch), UNKNOWN_ORIGIN) for batch in batches)
    pairs = zip(batches, unknown, strict=True)
    return b"".join([(none if batch.origins is None else batch.origins).tobytes() for batch, none in pairs])


def unpack(packed: PackedBatches, schema: RecordSchema) -> list[RecordBatch]:
    """The batches that were packed; their arrays are read-only."""
    data_types, lengths, payloads, timestamps, numbers, texts, origins = packed
    features = _Features(
        schema,
        np.frombuffer(numbers).reshape(len(payloads), len(schema.numeric)),
        {name: np.array(values, dtype=object) for name, values in texts.items()},
    )
    times = np.frombuffer(timestamps, dtype=np.int64)
    known = np.frombuffer(origins, dtype=np.int64) if origins else None
    return _cut(data_types, lengths, payloads, times, features, known)


def _cut(
    data_types: Iterable[str],
    lengths: Sequence[int],
    payloads: Sequence[bytes],
    timestamps: npt.NDArray[np.int64],
    features: _Features,
    origins: Origins | None,
) -> list[RecordBatch]:
    """Cuts records that lie one batch after the other into batches, which are views of them."""
    batches, start = [], 0
    for data_type, length in zip(data_types, lengths, strict=True):
        part = slice(start, start + length)
        came_from = None if origins is None else origins[part]
        batches.append(
            RecordBatch(data_type, payloads[part], timestamps[part], features.part(part), came_from)
        )
        start += length
    return batches


@lru_cache(_SELECTIONS)
def _places(names: tuple[str, ...], fields: tuple[str, ...]) -> Places:
    return np.array([names.index(field) for field in fields], dtype=np.intp)


class _Features:
    """The values of n records: ``numbers`` is n × all number fields, ``texts`` n values per text field."""

    __slots__ = ("_schema", "numbers", "texts")

    def __init__(
        self, schema: RecordSchema, numbers: npt.NDArray[np.float64], texts: Mapping[str, npt.NDArray[Any]]
    ) -> None:
        self._schema = schema
        self.numbers = numbers
        self.texts = texts

    def columns(self, fields: tuple[str, ...]) -> Columns:
        if fields == self._schema.numeric:
            return self.numbers
        if not self.texts or not any(field in self.texts for field in fields):
            return self.numbers.take(_places(self._schema.numeric, fields), axis=1)
        columns = np.empty((len(self.numbers), len(fields)), dtype=object)
        for at, field in enumerate(fields):
            text = self.texts.get(field)
            columns[:, at] = (
                self.numbers[:, self._schema.numeric.index(field)].tolist() if text is None else text
            )
        return columns

    def rows(self, index: Places) -> _Features:
        texts = {name: values[index] for name, values in self.texts.items()}
        return _Features(self._schema, self.numbers[index], texts)

    def part(self, part: slice) -> _Features:
        """The features of consecutive records, without a copy."""
        texts = {name: values[part] for name, values in self.texts.items()} if self.texts else self.texts
        return _Features(self._schema, self.numbers[part], texts)


class Rows:
    """Holds the values of n messages; some of the messages may not be records."""

    def __init__(self, n: int, schema: RecordSchema) -> None:
        self._schema = schema
        self._numbers = np.zeros((n, len(schema.numeric)))
        self._texts = {name: np.full(n, "", dtype=object) for name in schema.text}
        self._timestamps = np.zeros(n, dtype=np.int64)
        self._data_types: dict[str, int] = {}
        # The number of each message's data type; _NONE if it is not a record.
        self._of_type = np.full(n, _NONE, dtype=np.intp)

    def put(
        self, place: int, data_type: str, timestamp: int, numbers: Sequence[float], texts: Sequence[str]
    ) -> None:
        """Puts one valid record; numbers and texts are in the schema's order.

        An unsigned timestamp beyond int64 wraps.
        """
        self._numbers[place] = numbers
        for name, text in zip(self._schema.text, texts, strict=True):
            self._texts[name][place] = text
        self._timestamps[place] = (timestamp + 2**63) % 2**64 - 2**63
        self._of_type[place] = self._number(data_type)

    def put_many(
        self,
        places: Places,
        data_types: str | Sequence[str],
        timestamps: npt.NDArray[Any] | None,
        numbers: npt.NDArray[np.float64],
        texts: Sequence[Sequence[str]],
        unset: Sequence[int],
    ) -> list[int]:
        """Puts m messages: one data type for all or m of them, numbers m × k, texts (text fields) × m.

        ``places`` ascend, and none comes twice.

        ``unset`` are the columns of ``numbers`` whose field is in none of the messages.

        Returns:
            The places of messages that are not valid records, because none of their fields is set.
        """
        # All of them are in their order, and a slice is written faster than places.
        rows = slice(None) if len(places) == len(self._of_type) else places
        self._numbers[rows] = numbers
        for name, values in zip(self._schema.text, texts, strict=True):
            self._texts[name][rows] = values
        if timestamps is not None:
            self._timestamps[rows] = timestamps.astype(np.int64)
        valid = (numbers != 0).any(axis=1)
        if unset:
            self._numbers[np.ix_(places, np.array(unset))] = np.nan
        if any(values[0] for values in texts):
            # In messages of one layout, a text is set in all messages or in none.
            valid[:] = True
        if isinstance(data_types, str):
            self._of_type[rows] = self._number(data_types)
        else:
            for data_type in dict.fromkeys(data_types):
                self._number(data_type)
            self._of_type[rows] = list(map(self._data_types.__getitem__, data_types))
        if valid.all():
            return []
        self._of_type[places[~valid]] = _NONE
        return list(places[~valid].tolist())

    def batches(self, payloads: Sequence[bytes], origins: Origins | None = None) -> list[RecordBatch]:
        """The records by data type, each in the order of their places; data types come by their first record.

        ``payloads`` are all n messages, and ``origins`` where they came from.
        """
        whole = _Features(self._schema, self._numbers, self._texts)
        if len(self._data_types) == 1 and self._of_type.min() != _NONE:
            (data_type,) = self._data_types
            return [RecordBatch(data_type, payloads, self._timestamps, whole, origins)]
        numbers, firsts, counts = np.unique(self._of_type, return_index=True, return_counts=True)
        # Sorted by their first record. Messages that are not records come first and are left out.
        turns = np.argsort(np.where(numbers == _NONE, -1, firsts))
        turn_of = np.empty(len(self._data_types) + 1, dtype=np.intp)
        turn_of[numbers[turns]] = np.arange(len(turns))
        places = np.argsort(turn_of[self._of_type], kind="stable")
        if _NONE in numbers:
            places, turns = places[counts[0] :], turns[1:]
        names = list(self._data_types)
        return _cut(
            [names[number] for number in numbers[turns].tolist()],
            counts[turns].tolist(),
            [payloads[place] for place in places.tolist()],
            self._timestamps[places],
            whole.rows(places),
            None if origins is None else origins[places],
        )

    def _number(self, data_type: str) -> int:
        return self._data_types.setdefault(data_type, len(self._data_types))
