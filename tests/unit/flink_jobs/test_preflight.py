"""The check before a job starts, if Kafka refuses some of the answers."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from flink_jobs.config import parse_config
from flink_jobs.preflight import Checked, PreflightError, check_broker
from model_serving.messaging import preflight
from model_serving.messaging.topics import DEAD_LETTER_BYTES, MAX_MESSAGE_BYTES, TopicNames

TOPICS = TopicNames().all()


def answer(value: Any) -> Future[Any]:
    """A future that has its value, or raises the Kafka error with that code."""
    future: Future[Any] = Future()
    if isinstance(value, KafkaError):
        future.set_exception(KafkaException(value))
    else:
        future.set_result(value)
    return future


@dataclass
class FakeKafka:
    """An admin client of a Kafka with topics → the largest message, or the error instead of an answer."""

    limits: dict[str, int | KafkaError]
    members: dict[str, list[str]] = field(default_factory=dict)
    refused_settings: KafkaError | None = None
    refused: KafkaError | None = None
    created: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    partitions: dict[str, int] = field(default_factory=dict)

    def list_topics(self, **_: object) -> SimpleNamespace:
        return SimpleNamespace(topics=set(self.limits))

    def create_topics(self, topics: Sequence[Any]) -> dict[str, Future[Any]]:
        outcome = {}
        for topic in topics:
            refusal = self.refused or (self.refused_settings if topic.config else None)
            if refusal is None:
                self.created.append((topic.topic, topic.config))
                self.partitions[topic.topic] = topic.num_partitions
                self.limits[topic.topic] = int(topic.config.get("max.message.bytes", 1_048_588))
            outcome[topic.topic] = answer(refusal)
        return outcome

    def describe_configs(self, resources: Sequence[Any]) -> dict[Any, Future[Any]]:
        said = {resource: self.limits[resource.name] for resource in resources}
        return {
            resource: answer(
                value
                if isinstance(value, KafkaError)
                else {"max.message.bytes": SimpleNamespace(value=str(value))}
            )
            for resource, value in said.items()
        }

    def list_groups(self, group: str, timeout: float) -> list[SimpleNamespace]:
        return [
            SimpleNamespace(members=[SimpleNamespace(client_id=one) for one in self.members.get(group, [])])
        ]


def checked(kafka: FakeKafka, monkeypatch: pytest.MonkeyPatch) -> Checked:
    monkeypatch.setattr(preflight, "AdminClient", lambda _settings, **_: kafka)
    return check_broker(parse_config([], {}, "job.py"))


def large() -> dict[str, int | KafkaError]:
    limits: dict[str, int | KafkaError] = dict.fromkeys(TOPICS, MAX_MESSAGE_BYTES)
    return limits | {"dead-letters": DEAD_LETTER_BYTES}


def test_where_everything_is_as_it_should_be_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checked(FakeKafka(large()), monkeypatch) == Checked(DEAD_LETTER_BYTES, MAX_MESSAGE_BYTES)


def test_a_size_that_kafka_does_not_tell_is_assumed_to_be_its_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    denied = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    found = checked(FakeKafka(large() | {"dead-letters": denied}), monkeypatch)
    assert found.dead_letter_limit == 1_048_588
    assert found.news == (
        (
            f"Kafka does not say how large a message the topic 'dead-letters' takes ({denied.str()}): "
            "1,048,588 bytes are assumed, its default"
        ),
        (
            "the topic 'dead-letters' takes messages of up to 1,048,588 bytes and may get 33,570,816: larger "
            "messages are cut there; raise its max.message.bytes to have them whole, then start the job again"
        ),
    )


def test_results_that_may_not_fit_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    found = checked(FakeKafka(large() | {"results": 20_000}), monkeypatch)
    assert found.result_limit == 20_000
    (line,) = found.news
    assert line.startswith("the topic 'results' takes messages of up to 20,000 bytes and may get 1,000,000: ")


def test_a_broker_that_forbids_settings_gets_topics_without(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = large()
    del limits["dead-letters"]
    kafka = FakeKafka(limits, refused_settings=KafkaError(KafkaError.POLICY_VIOLATION))
    found = checked(kafka, monkeypatch)
    assert kafka.created == [("dead-letters", {})]
    assert found.dead_letter_limit == 1_048_588
    assert found.news[0] == "the topic 'dead-letters' did not exist and was created"


def test_the_models_topic_is_created_with_one_partition(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two, versions have no order; the broker decides how many the others get (-1)."""
    kafka = FakeKafka({})
    checked(kafka, monkeypatch)
    expected = dict.fromkeys(TopicNames().all(), -1) | {"models": 1}
    assert kafka.partitions == expected


def test_a_topic_that_cannot_be_created_at_all_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = large()
    del limits["results"]
    denied = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    with pytest.raises(PreflightError) as caught:
        checked(FakeKafka(limits, refused=denied), monkeypatch)
    assert str(caught.value) == (
        f"the topic 'results' does not exist and cannot be created ({denied.str()}): create it"
    )


def test_a_group_that_others_read_in_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    found = checked(FakeKafka(large(), members={"wineRecordsGroup": ["b", "a", "b"]}), monkeypatch)
    assert found.shared_groups == ("wineRecordsGroup",)
    (line,) = found.news
    assert line.startswith("others read in the consumer group 'wineRecordsGroup' (a, b): ")
