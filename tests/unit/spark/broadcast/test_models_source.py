"""Where reading the models topic begins, and when everything that was there has been read."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from model_serving.flags import StartingOffsets
from model_serving.messaging.access import KafkaAccess
from model_serving.spark.broadcast import models_source as module
from model_serving.spark.broadcast.models_source import ModelsSource
from tests.fake_kafka import FakeConsumer, FakeKafka

_ACCESS = KafkaAccess("localhost:1", {})
_GROUP = "models"


class _Consumer(FakeConsumer):
    """Answers questions about the topic, too."""

    def __init__(self, kafka: FakeKafka, settings: Mapping[str, Any]) -> None:
        super().__init__(kafka, settings)
        self._of = kafka

    def list_topics(self, topic: str, timeout: float) -> object:
        found = dict.fromkeys(range(self._of.partitions[topic]))
        return SimpleNamespace(topics={topic: SimpleNamespace(error=None, partitions=found)})

    def committed(self, places: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        known = self._of.offsets
        return [
            TopicPartition(one.topic, one.partition, known.get((_GROUP, one.topic, one.partition), -1001))
            for one in places
        ]


class Topic:
    """The models topic in memory, with a clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, partitions: int = 1) -> None:
        self.kafka = FakeKafka({"models": partitions})
        self.now_s = 0.0
        monkeypatch.setattr(module, "Consumer", lambda settings: _Consumer(self.kafka, settings))

    def send(self, *values: bytes, partition: int = 0) -> None:
        for value in values:
            self.kafka.append(("models", partition), None, value)

    def source(
        self, positions: Mapping[int, int], start: StartingOffsets = StartingOffsets.COMMITTED
    ) -> ModelsSource:
        return ModelsSource(_ACCESS, "models", _GROUP, positions, start, lambda: self.now_s)


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> Topic:
    return Topic(monkeypatch)


def read(source: ModelsSource) -> list[bytes]:
    return [one.payload for one in source.poll(0)]


def test_the_state_says_where_reading_goes_on_whatever_the_group_has(topic: Topic) -> None:
    topic.send(b"a", b"b", b"c")
    topic.kafka.offsets[_GROUP, "models", 0] = 1
    source = topic.source({0: 2})
    before = source.caught_up
    assert read(source) == [b"c"]
    assert (before, source.caught_up) == (False, True)
    assert source.positions == {0: 3}


def test_without_a_state_reading_begins_where_the_group_was_or_else_at_the_beginning(topic: Topic) -> None:
    topic.send(b"a", b"b")
    assert read(topic.source({})) == [b"a", b"b"]
    topic.kafka.offsets[_GROUP, "models", 0] = 1
    assert read(topic.source({})) == [b"b"]
    assert read(topic.source({}, StartingOffsets.EARLIEST)) == [b"a", b"b"]


def test_positions_are_shown_in_the_group(topic: Topic) -> None:
    topic.send(b"a", b"b")
    source = topic.source({})
    read(source)
    source.commit()
    assert topic.kafka.offsets[_GROUP, "models", 0] == 2


def test_an_empty_topic_and_one_with_an_open_transaction_have_been_read(topic: Topic) -> None:
    assert topic.source({}).caught_up
    producer = topic.kafka.producer({"transactional.id": "one"})
    producer.init_transactions(1)
    producer.begin_transaction()
    topic.send(b"a")
    producer.produce("models", b"b", partition=0)
    source = topic.source({})
    assert read(source) == [b"a"]
    assert source.caught_up
    producer.commit_transaction(1)
    assert read(source) == [b"b"]


def test_new_partitions_are_read_from_their_beginning(topic: Topic) -> None:
    source = topic.source({}, StartingOffsets.LATEST)
    topic.kafka.partitions = {"models": 2}
    topic.send(b"a", partition=1)
    assert read(source) == []
    topic.now_s += 10
    assert read(source) == [b"a"]
    assert source.positions[1] == 1
