"""Results for the results topic, many at a time.

The results of a batch differ in a few values only, so they are written as a table of bytes: one row, copied
for each record, with the values set column by column. The bytes are those of protobuf's own writer (fields in
the order of their numbers), except that a number which is 0 is written too, which readers take as the same.

Wire format: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from functions.core.batches import ScoredBatch
from functions.core.engine import Scores
from protos.servingresult_pb2 import ServingResult

__all__ = ["encode_results"]

_DOUBLE = bytes(8)
_FIELDS = {field.name: field.number for field in ServingResult.DESCRIPTOR.fields}
_VARINT, _FIXED64, _BYTES = 0, 1, 2


def encode_results(batch: ScoredBatch) -> list[bytes]:
    """The results of a batch as messages, in its order."""
    lengths = _varint_lengths(batch.submission_ts)
    absent = np.zeros(len(batch), dtype=bool)
    for values in batch.scores.outputs.values():
        absent |= np.isnan(values)
    if not absent.any() and lengths.min() == lengths.max():
        return _encode_alike(batch, batch.submission_ts, batch.scores, int(lengths[0]))
    encoded = [b""] * len(batch)
    for places, scores in _alike(batch.scores, lengths):
        part = _encode_alike(batch, batch.submission_ts[places], scores, int(lengths[places[0]]))
        for place, message in zip(places.tolist(), part, strict=True):
            encoded[place] = message
    return encoded


def _alike(scores: Scores, lengths: npt.NDArray[np.uint8]) -> Iterator[tuple[npt.NDArray[np.intp], Scores]]:
    """Rows with timestamps of one length and the same outputs; NaN stands for one that is not there."""
    names = list(scores.outputs)
    kinds = np.column_stack([lengths, *(np.isnan(scores.outputs[name]) for name in names)])
    for kind in np.unique(kinds, axis=0):
        places = np.flatnonzero((kinds == kind).all(axis=1))
        present = [name for name, is_absent in zip(names, kind[1:], strict=True) if not is_absent]
        labels = None if scores.labels is None else [scores.labels[place] for place in places.tolist()]
        yield (
            places,
            Scores(scores.result[places], labels, {name: scores.outputs[name][places] for name in present}),
        )


def _encode_alike(
    batch: ScoredBatch, submission_ts: npt.NDArray[np.int64], scores: Scores, ts_length: int
) -> list[bytes]:
    """Rows in which everything but the label has the same length."""
    model = batch.model
    row = _Row()
    row.text("name", model.name)
    row.text("dataType", batch.data_type)
    row.column("submissionTs", _VARINT, _varints(submission_ts, ts_length))
    row.column("result", _FIXED64, _doubles(scores.result))
    row.text("version", model.version)
    row.number("modeltype", int(model.model_type))
    row.number("scoring_ns", batch.scoring_ns)
    row.number("served_ts", batch.served_ts)
    # As doubles, which are exact for any clock's time: integers would wrap at a wild one's.
    row.column("latency_ms", _FIXED64, _doubles(batch.served_ts - submission_ts.astype(np.float64)))
    for name, values in scores.outputs.items():
        row.output(name, _doubles(values))
    messages = row.messages(len(submission_ts))
    if scores.labels is None:
        return messages
    labels = {label: _field("label", label.encode()) if label else b"" for label in set(scores.labels)}
    return [message + labels[label] for message, label in zip(messages, scores.labels, strict=True)]


class _Row:
    """One message, and the columns of bytes that differ from one message to the next."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._columns: list[tuple[int, npt.NDArray[np.uint8]]] = []

    def text(self, field: str, text: str) -> None:
        """A text that is the same in all messages."""
        if text:
            self._bytes += _field(field, text.encode())

    def number(self, field: str, number: int) -> None:
        """A number that is the same in all messages."""
        if number:
            self._bytes += _varint(_FIELDS[field] << 3 | _VARINT) + _varint(number)

    def column(self, field: str, kind: int, values: npt.NDArray[np.uint8]) -> None:
        """A number that differs: n × its bytes."""
        self._bytes += _varint(_FIELDS[field] << 3 | kind)
        self._put(values)

    def output(self, name: str, values: npt.NDArray[np.uint8]) -> None:
        """An entry of ``outputs``: a message of key=1 and value=2."""
        key = name.encode()
        head = b"\x0a" + _varint(len(key)) + key + b"\x11"
        self._bytes += _varint(_FIELDS["outputs"] << 3 | _BYTES) + _varint(len(head) + len(_DOUBLE)) + head
        self._put(values)

    def messages(self, n: int) -> list[bytes]:
        """The n messages."""
        length = len(self._bytes)
        table = np.empty((n, length), dtype=np.uint8)
        table[:] = np.frombuffer(self._bytes, dtype=np.uint8)
        for start, values in self._columns:
            table[:, start : start + values.shape[1]] = values
        everything = table.tobytes()
        return [everything[start : start + length] for start in range(0, n * length, length)]

    def _put(self, values: npt.NDArray[np.uint8]) -> None:
        self._columns.append((len(self._bytes), values))
        self._bytes += bytes(values.shape[1])


def _field(name: str, value: bytes) -> bytes:
    return _varint(_FIELDS[name] << 3 | _BYTES) + _varint(len(value)) + value


def _varint(number: int) -> bytes:
    number &= 2**64 - 1
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _varint_lengths(numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    bits = numbers.view(np.uint64)
    lengths = np.ones(len(numbers), dtype=np.uint8)
    for seven in range(7, 64, 7):
        longer = bits >= np.uint64(1 << seven)
        if not longer.any():
            break
        lengths += longer
    return lengths


def _varints(numbers: npt.NDArray[np.int64], length: int) -> npt.NDArray[np.uint8]:
    shifts = np.arange(0, 7 * length, 7, dtype=np.uint64)
    encoded = (numbers.view(np.uint64)[:, None] >> shifts & np.uint64(0x7F)).astype(np.uint8)
    encoded[:, :-1] |= 0x80
    return encoded


def _doubles(values: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(values, dtype="<f8").view(np.uint8).reshape(len(values), 8)
