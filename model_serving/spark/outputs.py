"""The rows for Spark's Kafka sink: results, dead letters, statuses and rollbacks, from the core's output.

Spark's sink may write a row twice, see docs/spark.md. So each result has its record's place in a header, by
which a reader knows a result that it has seen (``messaging.sources``). Waiting records keep their place.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from model_serving.core.batches import UNKNOWN_ORIGIN, Origins
from model_serving.core.channels import AT_ONCE, Channel, Emitted
from model_serving.messaging.sources import SOURCE_HEADER
from model_serving.messaging.topics import TopicNames

__all__ = ["ARROW_SCHEMA", "OFFSET_BITS", "OUTPUT_SCHEMA", "Rows", "origins_of"]

OUTPUT_SCHEMA = "topic string, key binary, value binary, headers array<struct<key: string, value: binary>>"
"""The columns that Spark's Kafka sink takes, in Spark's words."""

_HEADER = pa.struct([("key", pa.string()), ("value", pa.binary())])

ARROW_SCHEMA = pa.schema(
    [
        ("topic", pa.string()),
        ("key", pa.binary()),
        ("value", pa.binary()),
        ("headers", pa.list_(pa.field("element", _HEADER))),
    ]
)
"""The same columns in Arrow."""

OFFSET_BITS = 48
"""Leaves room for 32,768 partitions. A million records a second fill the offsets of one in nine years."""

_OFFSETS = (1 << OFFSET_BITS) - 1


def origins_of(partitions: npt.ArrayLike, offsets: npt.ArrayLike) -> Origins:
    """The origins of n records of one topic: partition and offset of each in one number, int64 of shape (n,).

    Give them to ``RecordCodec.decode`` with the records. ``Rows`` reads them.
    """
    high = np.asarray(partitions, dtype=np.int64) << OFFSET_BITS
    return high | (np.asarray(offsets, dtype=np.int64) & _OFFSETS)


class Rows:
    """Collects the core's output and gives it as rows, results first."""

    def __init__(self, topics: TopicNames, *, confirms: bool) -> None:
        """``confirms``: the status of a swap is written too, because nobody else has to report the swap.

        A status that is not about a swap is written in any case.
        """
        self._topics = topics
        self._confirms = confirms
        self._channels = {
            Channel.DEAD_LETTERS: topics.dead_letters,
            Channel.STATUSES: topics.status,
            Channel.ROLLBACKS: topics.models,
        }
        self._results: list[bytes] = []
        self._origins: list[int] = []
        self._others: list[tuple[str, bytes]] = []

    def __len__(self) -> int:
        return len(self._results) + len(self._others)

    def add(self, emitted: Emitted) -> None:
        """Adds what one call to the core has given."""
        self._results += emitted.results
        self._origins += emitted.origins or [UNKNOWN_ORIGIN] * len(emitted.results)
        self._others += [(self._channels[channel], message) for channel, message in emitted.side]
        for swap in emitted.swaps:
            if swap.status and (self._confirms or swap.sequence == AT_ONCE):
                self._others.append((self._topics.status, swap.status))

    def put(self, topic: str, messages: Sequence[bytes]) -> None:
        """Adds messages for a topic."""
        self._others += [(topic, message) for message in messages]

    def statuses(self) -> list[bytes]:
        """The statuses among the rows, for telling what becomes of models."""
        return [message for topic, message in self._others if topic == self._topics.status]

    def take(self) -> pa.RecordBatch:
        """The rows as a batch of ``ARROW_SCHEMA``, maybe of none; the next call gives those added since."""
        topics = [topic for topic, _ in self._others]
        values = self._results + [message for _, message in self._others]
        columns = [
            pa.concat_arrays(
                [pa.repeat(self._topics.results, len(self._results)), pa.array(topics, pa.string())]
            ),
            pa.nulls(len(values), pa.binary()),
            pa.array(values, pa.binary()),
            self._headers(len(values)),
        ]
        self._results, self._origins, self._others = [], [], []
        return pa.RecordBatch.from_arrays(columns, schema=ARROW_SCHEMA)

    def _headers(self, rows: int) -> pa.Array:
        """A list of headers for each row: one for a result whose origin is known, none for other rows."""
        origins = np.array(self._origins, dtype=np.int64)
        known = origins != UNKNOWN_ORIGIN
        places = _places(self._topics.data, origins[known])
        ends = np.full(rows + 1, len(places), dtype=np.int32)
        ends[0] = 0
        ends[1 : len(known) + 1] = np.cumsum(known)
        headers = pa.StructArray.from_arrays(
            [pa.repeat(SOURCE_HEADER, len(places)), places], fields=list(_HEADER)
        )
        return pa.ListArray.from_arrays(pa.array(ends), headers, type=ARROW_SCHEMA.field("headers").type)


def _places(topic: str, origins: Origins) -> pa.Array:
    """The place of each of n records in words, as bytes: what a result's header says."""
    numbers = [pa.array(part).cast(pa.string()) for part in (origins >> OFFSET_BITS, origins & _OFFSETS)]
    return pc.binary_join_element_wise(topic, *numbers, "/").cast(pa.binary())
