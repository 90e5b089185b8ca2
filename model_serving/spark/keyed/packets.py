"""The output of the state operator: a row for many messages, which Spark then spreads out without Python."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from model_serving.core.batches import UNKNOWN_ORIGIN
from model_serving.core.channels import Channel, Emitted
from model_serving.messaging.topics import TopicNames
from model_serving.spark.keyed.rows import Kind, RoutedRow, unpack_messages

__all__ = ["PACKET_SCHEMA", "Packet", "Packets"]

PACKET_SCHEMA = "topic string, messages array<binary>, origins array<bigint>"
"""The columns of a packet, in Spark's words."""

_FULL = 10_000


@dataclass(frozen=True, slots=True)
class Packet:
    """Messages for one topic. ``origins`` are those of n results, see ``outputs.origins_of``, or nothing."""

    topic: str
    messages: list[bytes] = field(repr=False)
    origins: list[int] = field(repr=False)


class Packets:
    """Collects messages by topic, in their order."""

    def __init__(self, topics: TopicNames) -> None:
        self._topics = topics
        self._channels = {
            Channel.DEAD_LETTERS: topics.dead_letters,
            Channel.STATUSES: topics.status,
            Channel.ROLLBACKS: topics.models,
        }
        self._kinds = {Kind.DEAD_LETTERS: topics.dead_letters, Kind.STATUSES: topics.status}
        self._packets: dict[str, Packet] = {}
        self._count = 0

    @property
    def are_full(self) -> bool:
        """Whether enough has been collected for the caller to send it on."""
        return self._count >= _FULL

    def add(self, emitted: Emitted) -> None:
        """Adds what one call to the core has given. One task has a data type, so it confirms its swaps."""
        self._put(
            self._topics.results,
            emitted.results,
            emitted.origins or [UNKNOWN_ORIGIN] * len(emitted.results),
        )
        for channel, message in emitted.side:
            self._put(self._channels[channel], [message])
        self._put(self._topics.status, [swap.status for swap in emitted.swaps if swap.status])

    def add_rows(self, rows: Iterable[RoutedRow]) -> None:
        """Adds the messages that routing has made."""
        for row in rows:
            if row.kind in self._kinds:
                self._put(self._kinds[row.kind], unpack_messages(row.body))

    def take(self) -> Iterator[Packet]:
        """What was added since the last call."""
        taken, self._packets, self._count = self._packets, {}, 0
        yield from taken.values()

    def _put(self, topic: str, messages: list[bytes], origins: Iterable[int] = ()) -> None:
        if not messages:
            return
        packet = self._packets.setdefault(topic, Packet(topic, [], []))
        packet.messages.extend(messages)
        packet.origins.extend(origins)
        self._count += len(messages)
