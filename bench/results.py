"""Reads results topics into arrays after the measurement."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from confluent_kafka import Consumer, KafkaError, TopicPartition

from bench.errors import BenchError
from bench.topics import WAIT_S, Kafka
from model_serving.messaging.connection import reader_settings
from model_serving.protos.servingresult_pb2 import ServingResult

__all__ = ["Appended", "Results", "append_times", "read_ours", "read_peer"]


@dataclass(frozen=True, slots=True)
class Results:
    """The results in a topic, in their order, as arrays of shape (n,).

    ``appended`` is the time when Kafka appended a result, ``submitted`` the time when its record was sent
    (both epoch milliseconds). ``version`` is an index into ``versions``, -1 if a result gives no version.
    """

    appended: npt.NDArray[np.int64]
    submitted: npt.NDArray[np.int64]
    version: npt.NDArray[np.int64]
    versions: tuple[str, ...]


class Appended:
    """Counts the messages of a topic, and keeps their append times.

    A topic's end offset also counts the markers of transactions. So messages are read once the end offset
    says that all that are wanted may be there. Before, only the end offset is asked for, because a consumer
    would take processor time from the job. Reads committed transactions only.
    """

    def __init__(self, kafka: Kafka, topic: str, wanted: int) -> None:
        self._kafka = kafka
        self._topic = topic
        self._wanted = wanted
        self._next = 0
        self._times: list[int] = []

    def count(self) -> int:
        """Returns how many messages there are; while it is less than the wanted number, markers included."""
        end = self._kafka.count(self._topic)
        if end < self._wanted:
            return end
        for message in _messages(self._kafka, self._topic, first=self._next):
            self._times.append(message.timestamp()[1])
            self._next = message.offset() + 1
        return len(self._times)

    @property
    def times(self) -> npt.NDArray[np.int64]:
        """The append times of the messages that were read, epoch milliseconds, in the order of offsets."""
        return np.array(self._times, dtype=np.int64)


def read_ours(kafka: Kafka, topic: str, *, first: int = 0) -> Results:
    """Reads a results topic of this project, from offset ``first`` to its end."""
    appended, submitted, version = [], [], []
    versions: dict[str, int] = {}
    for message in _messages(kafka, topic, first=first):
        result = ServingResult.FromString(message.value())
        appended.append(message.timestamp()[1])
        submitted.append(result.submissionTs)
        version.append(versions.setdefault(result.version, len(versions)))
    return Results(_array(appended), _array(submitted), _array(version), tuple(versions))


def read_peer(kafka: Kafka, topic: str) -> Results:
    """Reads a results topic of the JVM peer, whose results are the text ``ts,result,nanoseconds``."""
    appended, submitted = [], []
    for message in _messages(kafka, topic):
        appended.append(message.timestamp()[1])
        submitted.append(int(message.value().partition(b",")[0]))
    return Results(_array(appended), _array(submitted), np.full(len(appended), -1, dtype=np.int64), ())


def append_times(kafka: Kafka, topic: str) -> npt.NDArray[np.int64]:
    """Returns the times when Kafka appended the messages of partition 0, epoch milliseconds."""
    return _array([message.timestamp()[1] for message in _messages(kafka, topic)])


def _array(values: Sequence[int]) -> npt.NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


def _messages(kafka: Kafka, topic: str, *, first: int = 0) -> Iterator[Any]:
    """Gives the committed messages of partition 0 from offset ``first`` to the present end."""
    consumer = Consumer(reader_settings(kafka.access) | {"queued.max.messages.kbytes": 65_536})
    try:
        consumer.assign([TopicPartition(topic, 0, first)])
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            batch = consumer.consume(10_000, timeout=1.0)
            for message in batch:
                if (error := message.error()) is None:
                    yield message
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                    return
                else:
                    raise BenchError(f"'{topic}' cannot be read: {error.str()}")
            if batch:
                end = time.monotonic() + WAIT_S
        raise BenchError(f"'{topic}' gives nothing for {WAIT_S:g} s: look at the broker")
    finally:
        consumer.close()
