"""Where the values of many records are put as they are read, and what comes of them: batches by data type."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from functions.core.batches import RecordBatch
from functions.core.engine import Columns, RecordSchema

__all__ = ["PackedBatch", "Places", "Rows", "pack", "unpack"]

PackedBatch = tuple[str, Sequence[bytes], bytes, bytes, Mapping[str, Sequence[str]]]
"""A batch in plain values, to be moved between operators: data type, payloads, timestamps, numbers, texts."""

Places = npt.NDArray[np.intp]
"""Where records stand in the vector that they came in, shape (m,)."""


def pack(batch: RecordBatch) -> PackedBatch:
    """A batch of ``Rows`` as plain values, which take a tenth of the time of objects to write and read."""
    features = cast(_Features, batch.features)
    texts = {name: values.tolist() for name, values in features.texts.items()}
    return (
        batch.data_type,
        batch.payloads,
        batch.submission_ts.tobytes(),
        features.numbers.tobytes(),
        texts,
    )


def unpack(packed: PackedBatch, schema: RecordSchema) -> RecordBatch:
    """The batch that was packed; its arrays cannot be written to."""
    data_type, payloads, timestamps, numbers, texts = packed
    features = _Features(
        schema,
        np.frombuffer(numbers).reshape(len(payloads), len(schema.numeric)),
        {name: np.array(values, dtype=object) for name, values in texts.items()},
    )
    return RecordBatch(data_type, payloads, np.frombuffer(timestamps, dtype=np.int64), features)


class _Features:
    """The values of n records: numbers n × all number fields, texts n values for each text field."""

    def __init__(
        self, schema: RecordSchema, numbers: npt.NDArray[np.float64], texts: Mapping[str, npt.NDArray[Any]]
    ) -> None:
        self._schema = schema
        self.numbers = numbers
        self.texts = texts

    def columns(self, fields: tuple[str, ...]) -> Columns:
        if fields == self._schema.numeric:
            return self.numbers
        if not any(field in self.texts for field in fields):
            return self.numbers[:, [self._schema.numeric.index(field) for field in fields]]
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


class Rows:
    """Room for the values of n messages, not all of which need to be records."""

    def __init__(self, n: int, schema: RecordSchema) -> None:
        self._schema = schema
        self._numbers = np.zeros((n, len(schema.numeric)))
        self._texts = {name: np.full(n, "", dtype=object) for name in schema.text}
        self._timestamps = np.zeros(n, dtype=np.int64)
        self._single: dict[str, list[int]] = defaultdict(list)
        self._many: dict[str, list[Places]] = defaultdict(list)

    def put(
        self, place: int, data_type: str, timestamp: int, numbers: Sequence[float], texts: Sequence[str]
    ) -> None:
        """One valid record; numbers and texts in the schema's order.

        An unsigned timestamp beyond int64 wraps.
        """
        self._numbers[place] = numbers
        for name, text in zip(self._schema.text, texts, strict=True):
            self._texts[name][place] = text
        self._timestamps[place] = (timestamp + 2**63) % 2**64 - 2**63
        self._single[data_type].append(place)

    def put_many(
        self,
        places: Places,
        data_types: str | Sequence[str],
        timestamps: npt.NDArray[Any] | None,
        numbers: npt.NDArray[np.float64],
        texts: Sequence[Sequence[str]],
        unset: Sequence[int],
    ) -> list[int]:
        """m messages: one data type for all or m of them, numbers m × k, texts k × m.

        ``unset`` are the numbers, by their place among the k, that are in none of the messages.

        Returns:
            The places of those that are no valid records, for none of their fields is set.
        """
        self._numbers[places] = numbers
        for name, values in zip(self._schema.text, texts, strict=True):
            self._texts[name][places] = values
        if timestamps is not None:
            self._timestamps[places] = timestamps.astype(np.int64)
        valid = (numbers != 0).any(axis=1)
        if unset:
            self._numbers[np.ix_(places, np.array(unset))] = np.nan
        if any(values[0] for values in texts):
            # In messages of one layout a text is set in all or in none.
            valid[:] = True
        if isinstance(data_types, str):
            if valid.any():
                self._many[data_types].append(places[valid])
        else:
            groups = defaultdict(list)
            for at, data_type in enumerate(data_types):
                groups[data_type].append(at)
            for data_type, ats in groups.items():
                self._many[data_type].append(places[[at for at in ats if valid[at]]])
        return [] if valid.all() else list(places[~valid].tolist())

    def batches(self, payloads: Sequence[bytes]) -> list[RecordBatch]:
        """The records by data type, each in the order of their places; data types come by their first record.

        ``payloads`` are all n messages.
        """
        gathered = []
        for data_type in self._many.keys() | self._single.keys():
            parts = [*self._many.get(data_type, ()), np.array(self._single.get(data_type, ()), dtype=np.intp)]
            places = np.sort(np.concatenate(parts))
            if len(places):
                gathered.append((int(places[0]), data_type, places))
        whole = _Features(self._schema, self._numbers, self._texts)
        batches = []
        for _, data_type, places in sorted(gathered):
            batch = RecordBatch(data_type, payloads, self._timestamps, whole)
            batches.append(batch if len(places) == len(payloads) else batch.rows(places))
        return batches
