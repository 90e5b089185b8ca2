"""The rows between routing and serving: model messages, vectors of records, and messages for the topics.

A row carries up to ten thousand records of one data type, because a row costs Spark's state operator about as
much as a hundred records cost the model. The layouts here are for one batch of the query only; nothing of
them is kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import pairwise

import numpy as np
import pyarrow as pa

from model_serving.core.batches import RecordBatch
from model_serving.wire import PackedBatches

__all__ = [
    "ARROW_SCHEMA",
    "NOBODY",
    "ROUTED_SCHEMA",
    "Kind",
    "RoutedRow",
    "arrow_rows",
    "in_order",
    "pack_messages",
    "pack_vector",
    "split",
    "unpack_messages",
    "unpack_vector",
]

ROUTED_SCHEMA = "data_type string, kind int, place bigint, body binary"
"""The columns of a row, in Spark's words."""

ARROW_SCHEMA = pa.schema(
    [("data_type", pa.string()), ("kind", pa.int32()), ("place", pa.int64()), ("body", pa.binary())]
)
"""The same columns in Arrow."""

NOBODY = ""
"""The data type of rows that are for none: no record and no model has this one."""

_MOST_RECORDS = 10_000
_MOST_BYTES = 4 << 20
"""The size of a vector, in records and in bytes of their payloads; a vector has at least one record."""


class Kind(IntEnum):
    """What a row carries. A batch's rows of a data type are taken in this order: models before records."""

    MODEL = 0
    """A model message, as it came."""
    RECORDS = 1
    """A vector of records."""
    DEAD_LETTERS = 2
    """Messages for the dead-letter topic."""
    STATUSES = 3
    """Messages for the status topic."""
    NEWS = 4
    """Nothing: it says that its batch has read something."""


@dataclass(frozen=True, slots=True)
class RoutedRow:
    """A row; ``place`` orders the rows of one kind: where the row's first message is in its topic."""

    data_type: str
    kind: Kind
    place: int
    body: bytes = field(repr=False)


def in_order(rows: Iterable[RoutedRow]) -> list[RoutedRow]:
    """The rows of a data type in the order to take them; the group-by that gives them has no order."""
    return sorted(rows, key=lambda row: (row.kind, row.place))


def arrow_rows(rows: Sequence[RoutedRow]) -> pa.RecordBatch:
    """The rows as a batch of ``ARROW_SCHEMA``."""
    return pa.RecordBatch.from_arrays(
        [
            pa.array([row.data_type for row in rows], pa.string()),
            pa.array([int(row.kind) for row in rows], pa.int32()),
            pa.array([row.place for row in rows], pa.int64()),
            pa.array([row.body for row in rows], pa.binary()),
        ],
        schema=ARROW_SCHEMA,
    )


def split(batch: RecordBatch) -> list[RecordBatch]:
    """The batch in parts that each fit into a vector, in their order."""
    sizes = np.fromiter(map(len, batch.payloads), dtype=np.int64, count=len(batch))
    if len(batch) <= _MOST_RECORDS and sizes.sum() <= _MOST_BYTES:
        return [batch]
    parts, start, ends = [], 0, np.cumsum(sizes)
    while start < len(batch):
        begun = 0 if start == 0 else int(ends[start - 1])
        end = int(np.searchsorted(ends, begun + _MOST_BYTES, side="right"))
        end = min(max(end, start + 1), start + _MOST_RECORDS, len(batch))
        parts.append(batch.rows(np.arange(start, end)))
        start = end
    return parts


def pack_messages(messages: Sequence[bytes]) -> bytes:
    """Messages in one piece: how many, their lengths, the messages."""
    lengths = np.fromiter(map(len, messages), dtype=np.int64, count=len(messages))
    return b"".join([np.int64(len(messages)).tobytes(), lengths.tobytes(), *messages])


def unpack_messages(body: bytes) -> list[bytes]:
    """The inverse of :func:`pack_messages`."""
    count = int(np.frombuffer(body, dtype=np.int64, count=1)[0])
    lengths = np.frombuffer(body, dtype=np.int64, count=count, offset=8)
    head = 8 * (count + 1)
    ends = [head, *(head + np.cumsum(lengths)).tolist()]
    return [body[start:end] for start, end in pairwise(ends)]


def pack_vector(packed: PackedBatches) -> bytes:
    """Packed batches in one piece."""
    data_types, lengths, payloads, timestamps, numbers, texts, origins = packed
    head = json.dumps([list(data_types), list(lengths), {name: list(of) for name, of in texts.items()}])
    return pack_messages([head.encode(), timestamps, numbers, origins, pack_messages(payloads)])


def unpack_vector(body: bytes) -> PackedBatches:
    """The inverse of :func:`pack_vector`."""
    head, timestamps, numbers, origins, payloads = unpack_messages(body)
    data_types, lengths, texts = json.loads(head)
    return data_types, lengths, unpack_messages(payloads), timestamps, numbers, texts, origins
