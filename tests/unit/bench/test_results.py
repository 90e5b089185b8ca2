"""Messages of a topic are counted without the markers of transactions."""

from __future__ import annotations

from typing import Any

import pytest

from bench import results
from bench.results import Appended
from model_serving.messaging.access import KafkaAccess
from tests.fake_kafka import FakeKafka, FakeProducer


class Topic:
    """See ``bench.topics.Kafka``: a topic with transactions, whose markers count."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kafka = FakeKafka({"results": 1})
        self.producer = FakeProducer(self.kafka, {"transactional.id": "one"})
        self.producer.init_transactions(1)
        self.access = KafkaAccess("nowhere:9092")
        self.markers = 0
        monkeypatch.setattr(results, "Consumer", self._consumer)

    def _consumer(self, settings: dict[str, Any]) -> Any:
        return self.kafka.consumer(settings)

    def write(self, count: int, *, commit: bool = True) -> None:
        self.producer.begin_transaction()
        for _ in range(count):
            self.producer.produce("results", b"1")
        if commit:
            self.producer.commit_transaction(1)
            self.markers += 1

    def count(self, topic: str) -> int:
        return len(self.kafka.logs[topic, 0]) + self.markers


def test_markers_are_not_taken_for_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    topic: Any = Topic(monkeypatch)
    appended = Appended(topic, "results", 4)
    topic.write(1)
    assert (appended.count(), len(appended.times)) == (2, 0), "nothing is read before there can be enough"
    topic.write(1)
    assert (appended.count(), len(appended.times)) == (2, 2)
    topic.write(2, commit=False)
    assert appended.count() == 2
    topic.producer.commit_transaction(1)
    assert (appended.count(), appended.times.shape) == (4, (4,))
