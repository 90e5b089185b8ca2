"""Reads topics without leaving traces: no consumer group is joined and no offset is committed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Self

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.connection import connect, passes, reader_settings
from model_serving.messaging.errors import BrokerUnreachable, MessagingError
from model_serving.messaging.sources import Source, source_of

__all__ = ["Received", "Start", "TopicReader", "end_offset"]

_METADATA_TIMEOUT_S = 10.0
_SILENCE_S = 15.0
_NEW_PARTITION_S = 10.0
_RETRY_S = 0.1

# The leader of a partition that was just created may not know it yet.
_NOT_YET = {
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
}


class Start(Enum):
    """Where reading starts."""

    BEGINNING = "beginning"
    NOW = "now"


@dataclass(frozen=True, slots=True)
class Received:
    """A message from Kafka. ``timestamp`` is in epoch milliseconds.

    ``source`` is the place of the record that a result belongs to, where the host has written it down.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    payload: bytes
    source: Source | None = None


class TopicReader:
    """A context manager that reads whole topics; it sees only committed transactions.

    The starting point is fixed on entry: every message that is produced later will be read.

    Raises:
        BrokerUnreachable: on entry, when no Kafka broker answers.
        MessagingError: a topic does not exist, or Kafka refuses to let it be read.
    """

    def __init__(self, kafka: KafkaAccess, topics: Sequence[str], *, start: Start) -> None:
        self._kafka = kafka
        self._topics = tuple(topics)
        self._start = start
        self._partitions: set[tuple[str, int]] = set()
        self._at_end: set[tuple[str, int]] = set()
        self._consumer: Consumer | None = None

    def __enter__(self) -> Self:
        admin = connect(self._kafka)
        found = admin.list_topics(timeout=_METADATA_TIMEOUT_S).topics
        for name in self._topics:
            if name not in found or found[name].error is not None:
                raise MessagingError(
                    f"there is no topic '{name}' at {self._kafka.bootstrap_servers}: "
                    "check the name, or start the job that writes it"
                )
        self._partitions = {(name, number) for name in self._topics for number in found[name].partitions}
        consumer = Consumer(reader_settings(self._kafka))
        try:
            consumer.assign([self._starting_point(consumer, *place) for place in sorted(self._partitions)])
        except KafkaException as error:
            consumer.close()
            raise MessagingError(f"reading cannot start ({error.args[0].str()}): look at Kafka") from error
        self._consumer = consumer
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def poll(self, timeout_s: float) -> list[Received]:
        """Up to 1,000 messages that have arrived; returns after ``timeout_s`` seconds at the latest.

        Raises:
            MessagingError: a topic cannot be read.
            RuntimeError: called outside of the context.
        """
        if self._consumer is None:
            raise RuntimeError("a TopicReader reads inside its context only")
        received = []
        for message in self._consumer.consume(1_000, timeout_s):
            place = (str(message.topic()), int(message.partition() or 0))
            if (error := message.error()) is None:
                self._at_end.discard(place)
                received.append(
                    Received(
                        *place,
                        int(message.offset() or 0),
                        message.timestamp()[1],
                        message.value() or b"",
                        source_of(message.headers()),
                    )
                )
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                self._at_end.add(place)
            elif not passes(error):
                raise MessagingError(f"'{place[0]}' cannot be read ({error.str()}): look at Kafka")
        return received

    def until_end(self) -> Iterator[Received]:
        """The messages up to the present end of the topics.

        Raises:
            BrokerUnreachable: Kafka was silent for 15 seconds.
            MessagingError: a topic cannot be read.
        """
        heard = time.monotonic()
        while self._at_end < self._partitions:
            received = self.poll(0.1)
            yield from received
            if received:
                heard = time.monotonic()
            elif time.monotonic() - heard > _SILENCE_S:
                raise BrokerUnreachable(self._kafka.bootstrap_servers)

    def _starting_point(self, consumer: Consumer, topic: str, partition: int) -> TopicPartition:
        place = TopicPartition(topic, partition)
        if self._start is Start.BEGINNING:
            return TopicPartition(topic, partition, OFFSET_BEGINNING)
        return TopicPartition(topic, partition, end_offset(consumer, place))


def end_offset(consumer: Consumer, place: TopicPartition) -> int:
    """The offset of the next message of a partition. Waits up to 10 seconds for a new partition.

    Raises:
        KafkaException: Kafka does not tell the offset.
    """
    give_up = time.monotonic() + _NEW_PARTITION_S
    while True:
        try:
            _, end = consumer.get_watermark_offsets(place, timeout=_METADATA_TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].code() not in _NOT_YET or time.monotonic() > give_up:
                raise
            time.sleep(_RETRY_S)
        else:
            return int(end)
