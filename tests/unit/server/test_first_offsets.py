"""Where readers begin in the topics that a start waits for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from confluent_kafka import KafkaError, TopicPartition

from model_serving.testing import FakeClock, FakeEngine
from tests.fake_kafka import FakeConsumer, failure
from tests.unit.server.cluster import TOPICS, clusters
from tests.unit.server.process import STATE


def test_no_reader_asks_kafka_where_a_topic_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a topic that is new to it, the client would ask only after half a second."""
    first: dict[str, set[int]] = {}
    resets: dict[str, Any] = {}
    asked: dict[str, list[str]] = {}
    assign = FakeConsumer.incremental_assign

    def note(consumer: FakeConsumer, places: Iterable[TopicPartition]) -> None:
        for place in places:
            first.setdefault(place.topic, set()).add(place.offset)
            resets[place.topic] = consumer.settings.get("auto.offset.reset")
            asked[place.topic] = list(consumer.asked)
        assign(consumer, places)

    monkeypatch.setattr(FakeConsumer, "incremental_assign", note)
    with clusters(FakeEngine(FakeClock()), exactly_once=False) as cluster:
        cluster.drain()
    assert (first[STATE], first[TOPICS.models]) == ({0}, {0})
    # It knows the topic by then; else it may wait half a second before it asks for it.
    assert asked[TOPICS.models] == [TOPICS.models]
    # Where the first messages are gone, reading begins with the first that is left.
    assert (resets[STATE], resets[TOPICS.models]) == ("earliest", "earliest")


def test_models_are_read_also_when_kafka_does_not_tell_their_topic_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: set[str] = set()
    assign = FakeConsumer.incremental_assign

    def note(consumer: FakeConsumer, places: Iterable[TopicPartition]) -> None:
        places = list(places)
        read.update(place.topic for place in places)
        assign(consumer, places)

    def silent(_consumer: FakeConsumer, _topic: str, timeout: float) -> object:
        assert timeout <= 2
        raise failure(KafkaError._TIMED_OUT)

    monkeypatch.setattr(FakeConsumer, "incremental_assign", note)
    monkeypatch.setattr(FakeConsumer, "list_topics", silent)
    with clusters(FakeEngine(FakeClock()), exactly_once=False) as cluster:
        cluster.drain()
    assert TOPICS.models in read
