"""Reads results topics into arrays after the measurement."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from confluent_kafka import Consumer, TopicPartition

from bench.errors import BenchError
from bench.topics import WAIT_S, Kafka
from model_serving.messaging.connection import client_settings
from model_serving.protos.servingresult_pb2 import ServingResult

__all__ = ["Results", "append_times", "read_ours", "read_peer"]


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


def append_times(kafka: Kafka, topic: str) -> npt.NDArray[np.int64]:
    """Returns the append time of each message of a topic, epoch milliseconds, in the order of offsets."""
    times = np.empty(kafka.count(topic), dtype=np.int64)
    at = 0
    for batch in _batches(kafka, topic, len(times)):
        for message in batch:
            times[at] = message.timestamp()[1]
            at += 1
    return times


def read_ours(kafka: Kafka, topic: str, *, first: int = 0) -> Results:
    """Reads a results topic of this project, from offset ``first`` to its end."""
    count = kafka.count(topic) - first
    appended, submitted, version = (np.empty(count, dtype=np.int64) for _ in range(3))
    versions: dict[str, int] = {}
    at = 0
    for batch in _batches(kafka, topic, count, first=first):
        for message in batch:
            result = ServingResult.FromString(message.value())
            appended[at], submitted[at] = message.timestamp()[1], result.submissionTs
            version[at] = versions.setdefault(result.version, len(versions))
            at += 1
    return Results(appended, submitted, version, tuple(versions))


def read_peer(kafka: Kafka, topic: str) -> Results:
    """Reads a results topic of the JVM peer, whose results are the text ``ts,result,nanoseconds``."""
    count = kafka.count(topic)
    appended, submitted = (np.empty(count, dtype=np.int64) for _ in range(2))
    at = 0
    for batch in _batches(kafka, topic, count):
        for message in batch:
            appended[at] = message.timestamp()[1]
            submitted[at] = int(message.value().partition(b",")[0])
            at += 1
    return Results(appended, submitted, np.full(count, -1, dtype=np.int64), ())


def _batches(kafka: Kafka, topic: str, count: int, *, first: int = 0) -> Iterator[list[Any]]:
    consumer = Consumer(
        client_settings(kafka.access)
        | {
            "group.id": "bench",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "queued.max.messages.kbytes": 65_536,
        }
    )
    try:
        consumer.assign([TopicPartition(topic, 0, first)])
        end = time.monotonic() + WAIT_S
        while count > 0:
            batch = consumer.consume(min(count, 10_000), timeout=1.0)
            for message in batch:
                if (error := message.error()) is not None:
                    raise BenchError(f"'{topic}' cannot be read: {error.str()}")
            if batch:
                end = time.monotonic() + WAIT_S
            elif time.monotonic() > end:
                raise BenchError(f"'{topic}' gives nothing for {WAIT_S:g} s: look at the broker")
            count -= len(batch)
            yield batch
    finally:
        consumer.close()
