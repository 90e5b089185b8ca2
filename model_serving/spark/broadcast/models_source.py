"""Reads the models topic from positions that the driver's state keeps; joins no consumer group."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition

from model_serving.flags import StartingOffsets
from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.connection import passes, reader_settings
from model_serving.messaging.errors import MessagingError
from model_serving.messaging.receiving import Received
from model_serving.messaging.topics import MAX_MESSAGE_BYTES

__all__ = ["ModelsSource"]

_LOOK_EVERY_S = 10.0
_ANSWER_S = 10.0
_MANY = 100


class ModelsSource:
    """The messages of the models topic; only those of committed transactions.

    ``positions`` has the offset of the next message by partition, as far as messages were given out. New
    partitions are read from their beginning. An outage of Kafka ends by itself.
    """

    def __init__(
        self,
        kafka: KafkaAccess,
        topic: str,
        group: str,
        positions: Mapping[int, int],
        start: StartingOffsets,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Partitions without a position begin where ``start`` says; ``group`` is where offsets are committed.

        Raises:
            MessagingError: Kafka does not answer, or refuses.
        """
        self._topic = topic
        self._start = start
        self._clock = clock
        self.positions = dict(positions)
        self._assigned: set[int] = set()
        self._committed: dict[int, int] = {}
        self._consumer = Consumer(
            reader_settings(kafka)
            | {
                "group.id": group,
                "fetch.message.max.bytes": MAX_MESSAGE_BYTES,
                "queued.max.messages.kbytes": 65_536,
                "reconnect.backoff.max.ms": 1_000,
            }
        )
        try:
            self._assign(self._partitions())
            # What is before these offsets is there already.
            self._behind = self._ends()
        except KafkaException as error:
            raise MessagingError(f"the topic '{topic}' cannot be read ({error.args[0].str()})") from error
        # Partitions that come into being later are read from their beginning.
        self._start = StartingOffsets.EARLIEST
        self._next_look_s = clock() + _LOOK_EVERY_S

    @property
    def caught_up(self) -> bool:
        """Whether everything has been read that could be read when reading began."""
        return not self._behind

    def poll(self, timeout_s: float) -> list[Received]:
        """The messages that have arrived, at most 100; returns after ``timeout_s`` seconds at the latest.

        Raises:
            MessagingError: the topic cannot be read.
        """
        if self._clock() >= self._next_look_s:
            self._next_look_s = self._clock() + _LOOK_EVERY_S
            self._look()
        received = []
        for message in self._consumer.consume(_MANY, 0) or self._consumer.consume(1, timeout_s):
            error, place, offset = message.error(), int(message.partition() or 0), int(message.offset() or 0)
            if error is None:
                value = message.value() or b""
                received.append(Received(self._topic, place, offset, message.timestamp()[1], value))
                self._has_read(place, offset + 1)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                # Also where messages of a transaction that is open come behind it.
                self._has_read(place, offset)
                self._behind.pop(place, None)
            elif not passes(error):
                raise MessagingError(
                    f"the topic '{self._topic}' cannot be read ({error.str()}): look at Kafka"
                )
        return received

    def commit(self) -> None:
        """Shows the positions in the consumer group, where tools look for them; nothing depends on it."""
        changed = {
            place: offset for place, offset in self.positions.items() if self._committed.get(place) != offset
        }
        if changed:
            places = [TopicPartition(self._topic, place, offset) for place, offset in changed.items()]
            try:
                self._consumer.commit(offsets=places, asynchronous=True)
            except KafkaException:
                return
            self._committed |= changed

    def close(self) -> None:
        """Ends the connection."""
        self._consumer.close()

    def _has_read(self, place: int, position: int) -> None:
        self.positions[place] = position
        if position >= self._behind.get(place, position + 1):
            del self._behind[place]

    def _look(self) -> None:
        """Looks for new partitions; while Kafka is away there are none."""
        try:
            self._assign(self._partitions())
        except KafkaException:
            return

    def _partitions(self) -> set[int]:
        found = self._consumer.list_topics(self._topic, timeout=_ANSWER_S).topics[self._topic]
        if found.error is not None:
            raise KafkaException(found.error)
        return set(found.partitions)

    def _assign(self, partitions: set[int]) -> None:
        new = sorted(partitions - self._assigned)
        if new:
            self._consumer.incremental_assign([TopicPartition(self._topic, *one) for one in self._begin(new)])
            self._assigned.update(new)

    def _begin(self, places: list[int]) -> list[tuple[int, int]]:
        """The partitions, each with the offset to begin at."""
        unknown = [place for place in places if place not in self.positions]
        offset = OFFSET_END if self._start is StartingOffsets.LATEST else OFFSET_BEGINNING
        begin = dict.fromkeys(unknown, offset) | {
            place: self.positions[place] for place in places if place in self.positions
        }
        if unknown and self._start is StartingOffsets.COMMITTED:
            asked = [TopicPartition(self._topic, place) for place in unknown]
            for found in self._consumer.committed(asked, timeout=_ANSWER_S):
                if found.offset >= 0:
                    begin[found.partition] = found.offset
        return sorted(begin.items())

    def _ends(self) -> dict[int, int]:
        """The present end of each partition that has messages."""
        ends = {}
        for place in sorted(self._assigned):
            low, high = self._consumer.get_watermark_offsets(
                TopicPartition(self._topic, place), timeout=_ANSWER_S
            )
            if (
                high > low
                and self._start is not StartingOffsets.LATEST
                and high > self.positions.get(place, 0)
            ):
                ends[place] = int(high)
        return ends
