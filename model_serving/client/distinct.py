"""Tells results that were read already from new ones, by the record that each says it belongs to.

Spark's Kafka sink may write a result twice, for example after a restart; both name the same record.
A watermark of offsets would need results in the order of their records, which Kafka keeps only where
the results topic has one partition. So the offsets that were seen are remembered, one bit each.
"""

from __future__ import annotations

from collections import OrderedDict

from model_serving.messaging.sources import Source

__all__ = ["SeenSources"]

_CHUNK = 1 << 16
"""How many offsets are remembered together, in 8 KiB."""

_CHUNKS = 4096
"""The most chunks that are remembered: 32 MiB, for the latest 268 million records."""

_Place = tuple[str, int, int]
"""A topic, a partition and the number of a chunk."""


class SeenSources:
    """The records whose results were seen. Bounded: what was seen longest ago is forgotten first.

    A result is never taken for a repeat unless a result of its record was seen. A repeat of a record that was
    forgotten is taken for a new result.
    """

    def __init__(self, chunks: int = _CHUNKS) -> None:
        """``chunks`` are the most chunks of 65,536 offsets that are remembered."""
        self._most = chunks
        self._chunks: OrderedDict[_Place, bytearray] = OrderedDict()

    def is_repeat(self, source: Source) -> bool:
        """Whether a result of this record was seen before; it counts as seen from now on."""
        number, offset = divmod(source.offset, _CHUNK)
        place = (source.topic, source.partition, number)
        seen = self._chunks.get(place)
        if seen is None:
            seen = self._chunks[place] = bytearray(_CHUNK // 8)
            if len(self._chunks) > self._most:
                self._chunks.popitem(last=False)
        else:
            self._chunks.move_to_end(place)
        byte, bit = offset >> 3, 1 << (offset & 7)
        if seen[byte] & bit:
            return True
        seen[byte] |= bit
        return False
