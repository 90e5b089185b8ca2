"""Writes messages for the results topic, many at a time.

The results of a batch differ only in a few values, so they are written as a table of bytes: one row, copied
for each record, with the values set column by column. The bytes are those of protobuf's own writer (fields in
the order of their numbers), except that a 0 is written too. For readers this makes no difference.

Wire format: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from model_serving.core.batches import ScoredBatch
from model_serving.core.engine import Scores
from model_serving.core.messages import ModelToServe
from model_serving.core.protobuf_fields import BYTES, FIXED64, VARINT, bytes_field, tag, varint
from model_serving.protos.servingresult_pb2 import ServingResult

__all__ = ["encode_results"]

_DOUBLE = bytes(8)
_FIELDS = {field.name: field.number for field in ServingResult.DESCRIPTOR.fields}
_FEW = 16
"""Up to this many results, joining their parts is as fast as numpy, which has a cost per call."""

_TEMPLATES = 16_384
"""How many templates are remembered, of a few hundred bytes each: to make one costs as much as the results of
ten records."""


def encode_results(batch: ScoredBatch) -> list[bytes]:
    """The results of a batch as messages, in its order."""
    if len(batch) <= _FEW:
        return _encode_singly(batch)
    first, last = int(batch.submission_ts.min()), int(batch.submission_ts.max())
    length = _varint_length(first)
    # A negative number is longer than any other.
    alike = length == _varint_length(last) and (first < 0) == (last < 0)
    if alike and not any(np.isnan(values).any() for values in batch.scores.outputs.values()):
        return _encode_alike(batch, batch.submission_ts, batch.scores, length)
    encoded = [b""] * len(batch)
    for places, length, scores in _alike(batch):
        part = _encode_alike(batch, batch.submission_ts[places], scores, length)
        for place, message in zip(places.tolist(), part, strict=True):
            encoded[place] = message
    return encoded


def _encode_singly(batch: ScoredBatch) -> list[bytes]:
    """Results of any lengths, each joined from its parts."""
    scores, served_ts = batch.scores, batch.served_ts
    head, version, output_heads = _parts(batch.data_type, batch.model, tuple(scores.outputs))
    same = version + _number("scoring_ns", batch.scoring_ns) + _number("served_ts", served_ts) + _LATENCY
    messages = [
        b"".join((head, varint(ts), _RESULT, _packed(result), same, _packed(float(served_ts) - float(ts))))
        for ts, result in zip(batch.submission_ts.tolist(), scores.result.tolist(), strict=True)
    ]
    for output_head, values in zip(output_heads, scores.outputs.values(), strict=True):
        for place, value in enumerate(values.tolist()):
            if value == value:
                messages[place] += output_head + _packed(value)
    if scores.labels is not None:
        for place, label in enumerate(scores.labels):
            messages[place] += _text("label", label)
    return messages


@lru_cache(_TEMPLATES)
def _parts(data_type: str, model: ModelToServe, outputs: tuple[str, ...]) -> tuple[bytes, bytes, list[bytes]]:
    """The bytes that all results of a model share.

    They come before the record's timestamp, before the batch's times, and before each output.
    """
    return (
        _text("name", model.name) + _text("dataType", data_type) + _tag("submissionTs", VARINT),
        _text("version", model.version) + _number("modeltype", int(model.model_type)),
        [_output_head(name) for name in outputs],
    )


def _alike(batch: ScoredBatch) -> Iterator[tuple[npt.NDArray[np.intp], int, Scores]]:
    """Groups of rows with timestamps of one length and the same outputs; NaN stands for a missing output.

    Each group is (places of the rows, length of their timestamps, their scores).
    """
    scores = batch.scores
    names = list(scores.outputs)
    lengths = np.array([_varint_length(number) for number in batch.submission_ts.tolist()])
    kinds = np.column_stack([lengths, *(np.isnan(scores.outputs[name]) for name in names)])
    for kind in np.unique(kinds, axis=0):
        places = np.flatnonzero((kinds == kind).all(axis=1))
        present = [name for name, is_absent in zip(names, kind[1:], strict=True) if not is_absent]
        labels = None if scores.labels is None else [scores.labels[place] for place in places.tolist()]
        yield (
            places,
            int(kind[0]),
            Scores(scores.result[places], labels, {name: scores.outputs[name][places] for name in present}),
        )


def _encode_alike(
    batch: ScoredBatch, submission_ts: npt.NDArray[np.int64], scores: Scores, ts_length: int
) -> list[bytes]:
    """Results in which every field except the label has the same length."""
    same = _number("scoring_ns", batch.scoring_ns) + _number("served_ts", batch.served_ts)
    template = _template(batch.data_type, batch.model, ts_length, len(same), tuple(scores.outputs))
    # Doubles are exact for any plausible time, and for an absurd one they do not wrap as integers would.
    latencies = batch.served_ts - submission_ts.astype(np.float64)
    messages = template.messages(
        _varints(submission_ts, ts_length),
        _doubles(scores.result),
        np.frombuffer(same, dtype=np.uint8),
        _doubles(latencies),
        *map(_doubles, scores.outputs.values()),
    )
    if scores.labels is None:
        return messages
    labels = {label: _field("label", label.encode()) if label else b"" for label in set(scores.labels)}
    return [message + labels[label] for message, label in zip(messages, scores.labels, strict=True)]


@dataclass(frozen=True, slots=True)
class _Template:
    """One message, and the places of the bytes that differ from message to message."""

    row: npt.NDArray[np.uint8]
    starts: Sequence[int]

    def messages(self, *columns: npt.NDArray[np.uint8]) -> list[bytes]:
        """The n messages. A column is n × its bytes, or bytes that all n share (never the first column)."""
        n, length = len(columns[0]), len(self.row)
        table = np.empty((n, length), dtype=np.uint8)
        table[:] = self.row
        for start, values in zip(self.starts, columns, strict=True):
            table[:, start : start + values.shape[-1]] = values
        everything = table.tobytes()
        return [everything[start : start + length] for start in range(0, n * length, length)]


@lru_cache(_TEMPLATES)
def _template(
    data_type: str, model: ModelToServe, ts_length: int, same_length: int, outputs: tuple[str, ...]
) -> _Template:
    row = bytearray()
    starts = []

    def room(head: bytes, length: int) -> None:
        row.extend(head)
        starts.append(len(row))
        row.extend(bytes(length))

    head, version, output_heads = _parts(data_type, model, outputs)
    room(head, ts_length)
    room(_RESULT, len(_DOUBLE))
    room(version, same_length)
    room(_LATENCY, len(_DOUBLE))
    for output_head in output_heads:
        room(output_head, len(_DOUBLE))
    return _Template(np.frombuffer(bytes(row), dtype=np.uint8), starts)


def _output_head(name: str) -> bytes:
    """The bytes before the value of an entry of the map ``outputs``: a message with key=1 and value=2."""
    key = name.encode()
    head = b"\x0a" + varint(len(key)) + key + b"\x11"
    return _tag("outputs", BYTES) + varint(len(head) + len(_DOUBLE)) + head


def _text(field: str, text: str) -> bytes:
    return _field(field, text.encode()) if text else b""


def _number(field: str, number: int) -> bytes:
    return _tag(field, VARINT) + varint(number) if number else b""


def _field(field: str, value: bytes) -> bytes:
    return bytes_field(_FIELDS[field], value)


def _tag(field: str, kind: int) -> bytes:
    return tag(_FIELDS[field], kind)


def _varint_length(number: int) -> int:
    return max(1, -(-(number & 2**64 - 1).bit_length() // 7))


def _varints(numbers: npt.NDArray[np.int64], length: int) -> npt.NDArray[np.uint8]:
    shifts = np.arange(0, 7 * length, 7, dtype=np.uint64)
    encoded = (numbers.view(np.uint64)[:, None] >> shifts & np.uint64(0x7F)).astype(np.uint8)
    encoded[:, :-1] |= 0x80
    return encoded


def _doubles(values: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(values, dtype="<f8").view(np.uint8).reshape(len(values), 8)


_RESULT, _LATENCY = _tag("result", FIXED64), _tag("latency_ms", FIXED64)
_packed = struct.Struct("<d").pack
