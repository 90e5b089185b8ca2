"""A follower of topics tells whether what it has read still holds: of this Kafka, and of these topics."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from model_serving.messaging import following, topic_ids
from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.following import TopicFollower

_NOBODY = KafkaError(KafkaError._TRANSPORT)


class Kafka:
    """A Kafka with topics of one partition; ``away``: it does not answer."""

    def __init__(self, **topics: list[bytes]) -> None:
        self.cluster = "cluster"
        self.topics: dict[str, list[bytes]] = topics
        self.ids = {name: f"id of {name}" for name in topics}
        self.away = False

    def list_topics(self, timeout: float) -> Any:
        del timeout
        if self.away:
            raise KafkaException(_NOBODY)
        topics = {name: SimpleNamespace(error=None, partitions={0: None}) for name in self.topics}
        return SimpleNamespace(cluster_id=self.cluster, topics=topics)

    def describe_topics(self, topics: Any, request_timeout: float) -> dict[str, Future[Any]]:
        del request_timeout
        answers: dict[str, Future[Any]] = {name: Future() for name in topics}
        for name, answer in answers.items():
            answer.set_result(SimpleNamespace(topic_id=self.ids[name]))
        return answers


class Consumer:
    """As much of confluent's consumer as a follower uses. Messages and the end of a topic come in turn."""

    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka
        self._next: dict[str, int] = {}
        self._told: dict[str, int] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kafka, name)

    def incremental_assign(self, places: Iterable[TopicPartition]) -> None:
        self._next |= {place.topic: 0 for place in places}

    def get_watermark_offsets(self, place: TopicPartition, timeout: float) -> tuple[int, int]:
        del timeout
        return 0, len(self._kafka.topics[place.topic])

    def consume(self, most: int, timeout: float) -> list[Message]:
        del most, timeout
        if self._kafka.away:
            return []
        found = []
        for topic, begin in self._next.items():
            log = self._kafka.topics.get(topic, [])
            found += [
                Message(topic=topic, partition=0, offset=offset, value=log[offset], error=None)
                for offset in range(begin, len(log))
            ]
            self._next[topic] = max(begin, len(log))
        return found

    def close(self) -> None:
        self._next = {}


class Followed:
    """A follower of ``status`` whose clock goes on by ten seconds at each look."""

    def __init__(self, kafka: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(following, "Consumer", lambda _settings: Consumer(kafka))
        monkeypatch.setattr(topic_ids, "AdminClient", lambda _settings: kafka)
        monkeypatch.setattr(topic_ids, "TopicCollection", list)
        self.now_s = 0.0
        self.follower = TopicFollower(KafkaAccess("localhost:1", {}), ["status"], lambda: self.now_s)

    def read(self) -> list[bytes]:
        found = []
        for _ in range(3):
            self.now_s += 10
            found += [one.payload for one in self.follower.poll(0)]
        return found


def test_an_outage_is_not_a_new_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = Kafka(status=[b"1", b"2"])
    followed = Followed(kafka, monkeypatch)
    assert followed.read() == [b"1", b"2"]
    kafka.away = True
    assert followed.read() == []
    assert (followed.follower.silent_s, followed.follower.ready) == (30.0, False)
    kafka.away = False
    kafka.topics["status"].append(b"3")
    assert followed.read() == [b"3"]
    assert (followed.follower.generation, followed.follower.ready) == (0, True)


def test_another_kafka_at_the_address_is_read_from_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = Kafka(status=[b"1", b"2"])
    followed = Followed(kafka, monkeypatch)
    followed.read()
    kafka.cluster, kafka.ids, kafka.topics = "other", {"status": "other id"}, {"status": [b"3", b"4"]}
    assert followed.read() == [b"3", b"4"]
    assert followed.follower.generation == 1


def test_a_topic_that_was_made_again_is_read_anew_although_it_is_as_long_as_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So it is with a Kafka that was emptied and has kept its id: its offsets say nothing."""
    kafka = Kafka(status=[b"1", b"2"])
    followed = Followed(kafka, monkeypatch)
    followed.read()
    kafka.ids["status"], kafka.topics["status"] = "made again", [b"3", b"4"]
    assert followed.read() == [b"3", b"4"]
    assert followed.follower.generation == 1
    kafka.topics["status"].append(b"5")
    assert followed.read() == [b"5"]
    assert followed.follower.generation == 1


def test_a_trouble_with_a_topic_ends_with_that_topic(monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = Kafka(status=[b"1"])
    followed = Followed(kafka, monkeypatch)
    followed.read()
    failure = Message(topic="status", partition=0, error=KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))
    with monkeypatch.context() as patch:
        patch.setattr(Consumer, "consume", lambda _self, _most, _timeout: [failure])
        followed.read()
        assert str(followed.follower.trouble).startswith("'status' cannot be read")
    # An emptied Kafka without the topic: there is nothing to read, so nothing would take the trouble back.
    kafka.cluster, kafka.topics, kafka.ids = "other", {}, {}
    assert followed.read() == []
    assert (followed.follower.trouble, followed.follower.missing) == (None, ("status",))
