"""A consumer that reads the data topic, and deliveries whose producers are fakes."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import TopicPartition

from model_serving.messaging.access import KafkaAccess
from model_serving.server import delivery as module
from model_serving.server import transactions
from model_serving.server.delivery import AtLeastOnce
from model_serving.server.exactly_once import ExactlyOnce
from model_serving.server.progress import Progress
from tests.fake_kafka import FakeConsumer, FakeKafka, FakeProducer
from tests.unit.server.later import HeldThreads

__all__ = ["Clients", "Seconds"]

_ACCESS = KafkaAccess("localhost:1", {})


class Seconds:
    """Stands for the module ``time``."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.now += seconds


class Clients:
    """A consumer that reads partition 0 of the data topic, and a delivery whose producer is a fake."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kafka = FakeKafka({"data": 2, "results": 1, "state": 2})
        self.threads = HeldThreads()
        monkeypatch.setattr(module, "Producer", self._producer)
        monkeypatch.setattr(transactions, "Thread", self.threads.thread)
        self.progress = Progress("data")
        self.producers: list[FakeProducer] = []
        self.consumer = FakeConsumer(self.kafka, {"group.id": "group"})
        self.consumer.incremental_assign([TopicPartition("data", 0), TopicPartition("data", 1)])

    def _producer(self, settings: dict[str, Any]) -> FakeProducer:
        self.producers.append(self.kafka.producer(settings))
        return self.producers[-1]

    @property
    def producer(self) -> FakeProducer:
        return self.producers[-1]

    def read(self, *records: bytes) -> None:
        for record in records:
            self.kafka.append(("data", 0), None, record)
        messages = self.consumer.consume(100, 0)
        assert len(messages) == len(records)
        self.progress.served(messages)

    def at_least_once(self) -> AtLeastOnce:
        consumer: Any = self.consumer
        return AtLeastOnce(_ACCESS, consumer, self.progress, "state", 0.2)

    def exactly_once(self) -> ExactlyOnce:
        consumer: Any = self.consumer
        delivery = ExactlyOnce(_ACCESS, consumer, self.progress, "state", 0.2, "one")
        delivery.start()
        return delivery

    @property
    def results(self) -> list[bytes | None]:
        return [message.value() for message in self.kafka.committed("results")]

    @property
    def committed(self) -> int | None:
        return self.kafka.offsets.get(("group", "data", 0))

    def hold_commits(self, at: str) -> None:
        """Commits stay under way until somebody waits for them, or ``threads.go_on`` is called."""
        self.kafka.point = lambda point: HeldThreads.hold() if point == at else None
