"""Kafka for the benchmark: creates, removes and fills topics, and watches their end offsets.

During a measurement only end offsets are read, because a consumer would take processor time from the job.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from confluent_kafka import KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]
from confluent_kafka.cimpl import NewTopic

from bench.errors import BenchError
from bench.records import RecordMaker, epoch_ms
from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.connection import client_settings, connect
from model_serving.messaging.receiving import Start, TopicReader
from model_serving.messaging.sending import Sender
from model_serving.messaging.topics import MAX_MESSAGE_BYTES, TopicNames, topic_settings

__all__ = ["WAIT_S", "Kafka"]

WAIT_S = 30.0
"""The greatest time for an answer of Kafka."""


class Kafka:
    """The broker's topics."""

    def __init__(self, bootstrap_servers: str) -> None:
        self.bootstrap_servers = bootstrap_servers
        self.access = KafkaAccess(bootstrap_servers)
        self._admin: AdminClient = connect(self.access)

    def create(self, names: TopicNames, *, partitions: int = 1) -> None:
        """Creates a job's topics. Results and data have log-append times; results have one partition."""
        settings = topic_settings(names)
        settings[names.data] = settings[names.data] | {"message.timestamp.type": "LogAppendTime"}
        topics = [
            NewTopic(name, partitions if name == names.data else 1, 1, config=settings[name])
            for name in names.all()
        ]
        self._await(self._admin.create_topics(topics, operation_timeout=WAIT_S))
        self._await_leaders(names.all())

    def create_results(self, name: str) -> None:
        """Creates one results topic."""
        settings = topic_settings(TopicNames(results=name))[name]
        self._await(self._admin.create_topics([NewTopic(name, 1, 1, config=settings)]))
        self._await_leaders([name])

    def remove(self, *names: str) -> None:
        """Removes topics. Topics that do not exist are ignored."""
        for future in self._admin.delete_topics(list(names), operation_timeout=WAIT_S).values():
            with contextlib.suppress(KafkaException, TimeoutError):
                future.result(WAIT_S)

    def count(self, topic: str) -> int:
        """Returns the sum of a topic's end offsets: its messages, and the markers of transactions."""
        end = time.monotonic() + WAIT_S
        with _answers(topic):
            while True:
                partitions = self._admin.list_topics(topic, timeout=WAIT_S).topics[topic].partitions
                asked = {TopicPartition(topic, number): OffsetSpec.latest() for number in partitions}  # type: ignore[no-untyped-call]
                answers = self._admin.list_offsets(asked).values()
                try:
                    return sum(future.result(WAIT_S).offset for future in answers)
                except KafkaException:
                    # A new topic may not be known to its leader yet. The client marks only some of these
                    # errors as retriable.
                    if time.monotonic() > end:
                        raise
                    time.sleep(0.2)

    @contextmanager
    def producer(self, **settings: Any) -> Iterator[Producer]:
        """Gives a producer. If the context ends without an error, all messages have been delivered."""
        producer = Producer(
            client_settings(self.access)
            | {
                "message.max.bytes": MAX_MESSAGE_BYTES,
                "queue.buffering.max.messages": 1_000_000,
                "enable.idempotence": True,
            }
            | settings
        )
        yield producer
        if producer.flush(60):
            raise BenchError("Kafka did not take everything within 60 s: look at the machine's load")

    def publish(self, topic: str, messages: Sequence[bytes]) -> int:
        """Writes models, compressed as ``publish-models`` does, and waits until Kafka has them.

        Returns:
            When a connected producer was given the first one, epoch ms.
        """
        with Sender(self.access, topic, compressed=True) as sender:
            begin = epoch_ms()
            for message in messages:
                sender.send(message)
        return begin

    def fill(self, topic: str, maker: RecordMaker, upto: int) -> None:
        """Writes records to the partitions in turn, until the topic has ``upto`` records."""
        have = self.count(topic)
        partitions = len(self._admin.list_topics(topic, timeout=WAIT_S).topics[topic].partitions)
        stamp = maker.record_type.stamp(epoch_ms())
        records = itertools.islice(maker.stream(have), max(0, upto - have))
        with self.producer(**{"linger.ms": 20, "batch.size": 262_144}) as producer:
            for number, record in enumerate(records, start=have):
                while True:
                    try:
                        producer.produce(topic, record + stamp, partition=number % partitions)
                        break
                    except BufferError:
                        producer.poll(0.05)
        if (there := self.count(topic)) != upto:
            raise BenchError(f"the topic has {there} records and not {upto}: start a new run")

    def messages(self, topic: str, *, first: int = 0) -> list[bytes]:
        """Returns the content of the messages of a topic whose offset is ``first`` or greater."""
        with TopicReader(self.access, [topic], start=Start.BEGINNING) as reader:
            return [received.payload for received in reader.until_end() if received.offset >= first]

    def _await(self, futures: Mapping[str, Any]) -> None:
        for name, future in futures.items():
            with _answers(name):
                future.result(WAIT_S)

    def _await_leaders(self, names: Sequence[str]) -> None:
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            known = self._admin.list_topics(timeout=WAIT_S).topics
            if all(
                name in known
                and known[name].partitions
                and all(partition.leader >= 0 for partition in known[name].partitions.values())
                for name in names
            ):
                return
            time.sleep(0.05)
        raise BenchError(f"the topics have no leaders after {WAIT_S:g} s: look at the broker")


@contextmanager
def _answers(topic: str) -> Iterator[None]:
    """Turns errors of Kafka into BenchError with one line.

    Raises:
        BenchError: Kafka refuses a request, or does not answer.
    """
    try:
        yield
    except KafkaException as error:
        raise BenchError(f"Kafka refuses '{topic}': {error.args[0].str()}") from error
    except TimeoutError as error:
        raise BenchError(f"Kafka gave no answer about '{topic}' for {WAIT_S:g} s: look at its log") from error
