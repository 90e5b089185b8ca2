"""The state topic: made where it does not exist, followed by a thread, written by a sender of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic  # type: ignore[attr-defined]

from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.connection import SOON_AGAIN, passes
from model_serving.messaging.errors import MessagingError
from model_serving.messaging.losses import Losses
from model_serving.messaging.receiving import end_offset
from model_serving.server.clients import server_client
from model_serving.server.entries import Entry, Part, decode_part, encode_parts
from model_serving.server.mirror import Mirror

__all__ = [
    "PARTITIONS",
    "StateSender",
    "StateTail",
    "TopicEnds",
    "ensure_state_topic",
    "produce",
    "produce_entries",
]

PARTITIONS = 2
_TIMEOUT_S = 10.0
_MANY = 1_000
_LOOK_S = 0.1
_MADE_LOOK_S = 0.01
_SLICE_BYTES = 1_000_000
"""What is put into the mirror at once: other threads wait for the mirror meanwhile."""

_LEAST_BYTES = 1_000_000
"""The largest message: a part of a value, with its key."""

_SETTINGS = {
    "cleanup.policy": "compact",
    # Kafka compacts closed segments only. Small ones keep what a start has to read small.
    "segment.bytes": str(64 << 20),
    "segment.ms": "3600000",
    "min.cleanable.dirty.ratio": "0.1",
}


def ensure_state_topic(admin: AdminClient, topic: str) -> bool:
    """Makes the state topic where it does not exist; whether it was made.

    Raises:
        MessagingError: the topic cannot be made, or the one that exists is not a state topic.
    """
    wanted = NewTopic(topic, num_partitions=PARTITIONS, replication_factor=-1, config=_SETTINGS)
    if _partitions(admin, topic):
        made = False
    else:
        try:
            admin.create_topics([wanted])[topic].result(timeout=_TIMEOUT_S)
            made = True
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise MessagingError(
                    f"the state topic '{topic}' cannot be created ({error.args[0].str()}): create it with "
                    f"{PARTITIONS} partitions and cleanup.policy=compact"
                ) from error
            made = False
    if made:
        _await(admin, topic)
    else:
        _check(admin, topic)
    return made


def _partitions(admin: AdminClient, topic: str) -> int:
    """How many partitions the topic has; 0 if it does not exist, or was made a moment ago."""
    # Asked for by its name, Kafka would make the topic with settings of its own.
    found = admin.list_topics(timeout=_TIMEOUT_S).topics.get(topic)
    return 0 if found is None or found.error is not None else len(found.partitions)


def _await(admin: AdminClient, topic: str) -> int:
    """How many partitions the topic has, once the broker that is asked knows it; 0 if it does not in time.

    A client that asks sooner asks again only after some tenths of a second.
    """
    end_s = time.monotonic() + _TIMEOUT_S
    while not (partitions := _partitions(admin, topic)) and time.monotonic() < end_s:
        time.sleep(_MADE_LOOK_S)
    return partitions


def _check(admin: AdminClient, topic: str) -> None:
    partitions = _await(admin, topic)
    if partitions != PARTITIONS:
        raise MessagingError(
            f"the topic '{topic}' has {partitions} partitions and a state topic has {PARTITIONS}: name "
            "another one (--state-topic), which is created if it does not exist"
        )
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    try:
        settings = admin.describe_configs([resource])[resource].result(timeout=_TIMEOUT_S)
    except (KafkaException, TimeoutError):
        # Not everybody may ask for settings.
        return
    if "compact" not in settings["cleanup.policy"].value:
        raise MessagingError(
            f"Kafka deletes what is old in the topic '{topic}', and with it models that serve: set its "
            "cleanup.policy to compact, or name another one (--state-topic)"
        )
    most = int(settings["max.message.bytes"].value)
    if most < _LEAST_BYTES:
        raise MessagingError(
            f"the topic '{topic}' takes messages of up to {most:,} bytes: raise its max.message.bytes to "
            f"{_LEAST_BYTES:,} at least"
        )


class TopicEnds:
    """Asks for the ends of topics, as they are now."""

    def __init__(self, kafka: KafkaAccess) -> None:
        self._consumer = Consumer(
            server_client(kafka) | {"group.id": "model-serving-ends", "isolation.level": "read_uncommitted"}
        )

    def of(self, topic: str, partitions: Iterable[int]) -> dict[int, int]:
        """The offset after the last message of each partition, open transactions included.

        Raises:
            KafkaException: Kafka does not answer.
        """
        return {place: end_offset(self._consumer, TopicPartition(topic, place)) for place in partitions}

    def partitions(self, topic: str) -> list[int]:
        """The partitions of a topic.

        Raises:
            KafkaException: Kafka does not answer.
        """
        return sorted(self._consumer.list_topics(topic, timeout=_TIMEOUT_S).topics[topic].partitions)

    def close(self) -> None:
        """Ends the connection."""
        self._consumer.close()


class StateTail(threading.Thread):
    """Follows the state topic and keeps the mirror current. After an error, ``failure`` says why it ended."""

    def __init__(self, kafka: KafkaAccess, topic: str, mirror: Mirror) -> None:
        super().__init__(name="state-tail", daemon=True)
        self._topic = topic
        self._mirror = mirror
        self._ended = threading.Event()
        self.failure: BaseException | None = None
        self._consumer = Consumer(
            server_client(kafka)
            | {
                # The client demands a group name; with assign() it never joins the group.
                "group.id": "model-serving-state",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 100,
                "queued.max.messages.kbytes": 16_384,
                **SOON_AGAIN,
            }
        )
        # Not OFFSET_BEGINNING: the client would ask where that is, and for a topic that is new to it only
        # after half a second. If the first messages are gone, it begins with the first that is left.
        self._consumer.assign([TopicPartition(topic, place, 0) for place in range(PARTITIONS)])

    def run(self) -> None:
        """Reads until ``stop`` is called."""
        try:
            while not self._ended.is_set():
                messages = self._consumer.consume(_MANY, 0) or self._consumer.consume(1, _LOOK_S)
                if messages:
                    self._apply(messages)
        except Exception as error:  # noqa: BLE001 - whoever waits for the mirror must learn of any error
            self.failure = error
            with self._mirror.changed:
                self._mirror.changed.notify_all()
        finally:
            self._consumer.close()

    def stop(self) -> None:
        """Ends the thread."""
        self._ended.set()
        self.join()

    def _apply(self, messages: list[Message]) -> None:
        parts: list[tuple[int, Part]] = []
        positions: dict[int, int] = {}
        size = 0
        for message in messages:
            if size >= _SLICE_BYTES:
                self._mirror.apply(parts, positions)
                parts, positions, size = [], {}, 0
            error, place, offset = message.error(), int(message.partition() or 0), int(message.offset() or 0)
            if error is None:
                positions[place] = offset + 1
                part = decode_part(message.key() or b"", message.value())
                if part is not None:
                    parts.append((offset, part))
                    size += len(part.data or b"")
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                positions[place] = offset
            elif error.code() in {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION}:  # noqa: SLF001
                continue
            elif not passes(error):
                raise MessagingError(f"'{self._topic}' cannot be read ({error.str()}): look at Kafka")
        self._mirror.apply(parts, positions)


class StateSender:
    """Writes entries outside of transactions. Safe to use from several threads."""

    def __init__(self, kafka: KafkaAccess, topic: str) -> None:
        self._topic = topic
        self._losses = Losses()
        self._producer = Producer(
            server_client(kafka)
            | {
                "enable.idempotence": True,
                "linger.ms": 0,
                # Documents shrink to a fraction, which Kafka takes and gives back so much sooner.
                "compression.type": "lz4",
                "message.timeout.ms": 0,
                "delivery.report.only.error": True,
                "on_delivery": self._losses.note,
            }
        )

    def send(self, entries: Iterable[Entry]) -> None:
        """Queues the messages of the entries.

        Raises:
            KafkaException: an earlier message was not delivered.
        """
        produce_entries(self._producer, self._topic, entries)
        self._producer.poll(0)
        if self._losses.first is not None:
            raise KafkaException(self._losses.first)

    def flush(self, timeout_s: float) -> bool:
        """Waits until everything is delivered; whether it is."""
        return not self._producer.flush(timeout_s) and self._losses.first is None


def produce_entries(producer: Producer, topic: str, entries: Iterable[Entry]) -> None:
    """Queues the messages of entries for the state topic; waits while the producer's queue is full."""
    for entry in entries:
        for key, value in encode_parts(entry):
            produce(producer, topic, value, key, entry.key.kind.partition)


def produce(
    producer: Producer, topic: str, value: bytes | None, key: bytes | None = None, partition: int = -1
) -> None:
    """Queues a message; waits while the producer's queue is full."""
    while True:
        try:
            producer.produce(topic, value, key=key, partition=partition)
        except BufferError:
            producer.poll(0.05)
        else:
            return
