"""Messages for Kafka from the core's output: results, dead letters, statuses and rollbacks.

A Spark job may write a message twice, see docs/spark.md. So each result has its record's place in a header,
by which a reader knows a result that it has seen (``messaging.sources``). Waiting records keep their place.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from model_serving.core.batches import UNKNOWN_ORIGIN, Origins
from model_serving.core.channels import AT_ONCE, Channel, Emitted
from model_serving.messaging.sources import SOURCE_HEADER
from model_serving.messaging.topics import TopicNames

__all__ = ["OFFSET_BITS", "Headers", "Row", "Rows", "origins_of"]

Headers = list[tuple[str, str | bytes | None]]
"""Names and values, as the client of Kafka takes them."""

Row = tuple[str, bytes, Headers]
"""A message: its topic, its value, and its headers."""

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
    """Collects the core's output and gives it as messages, results first."""

    def __init__(self, topics: TopicNames) -> None:
        """Makes one without rows.

        The status of a swap is not among them: the driver reports swaps. A status of another kind is.
        """
        self._topics = topics
        self._data = topics.data.encode()
        self._channels = {
            Channel.DEAD_LETTERS: topics.dead_letters,
            Channel.STATUSES: topics.status,
            Channel.ROLLBACKS: topics.models,
        }
        self._results: list[Row] = []
        self._others: list[Row] = []

    def __len__(self) -> int:
        return len(self._results) + len(self._others)

    def add(self, emitted: Emitted) -> None:
        """Adds what one call to the core has given."""
        topic, origins = self._topics.results, emitted.origins or [UNKNOWN_ORIGIN] * len(emitted.results)
        self._results += [
            (topic, result, self._headers(origin))
            for result, origin in zip(emitted.results, origins, strict=True)
        ]
        self._others += [(self._channels[channel], message, []) for channel, message in emitted.side]
        for swap in emitted.swaps:
            if swap.status and swap.sequence == AT_ONCE:
                self._others.append((self._topics.status, swap.status, []))

    def take(self) -> list[Row]:
        """The messages; the next call gives those added since."""
        taken = self._results + self._others
        self._results, self._others = [], []
        return taken

    def _headers(self, origin: int) -> Headers:
        if origin == UNKNOWN_ORIGIN:
            return []
        place = b"%b/%d/%d" % (self._data, origin >> OFFSET_BITS, origin & _OFFSETS)
        return [(SOURCE_HEADER, place)]
