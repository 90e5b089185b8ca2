"""Where a group begins to read is chosen once, by the member that registered first."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest
from confluent_kafka import KafkaError

from model_serving.messaging.errors import MessagingError
from model_serving.server import beginning as module
from model_serving.server.beginning import Beginning
from model_serving.server.config import parse_config
from model_serving.server.entries import Key, Kind
from model_serving.server.errors import Interrupted
from model_serving.server.members import Registration
from model_serving.server.mirror import Mirror
from tests.fake_kafka import FakeConsumer, FakeKafka, failure
from tests.unit.server.states import FakeSender, StateLog

STARTED = Key(Kind.STARTED)


class Topics:
    """See ``TopicPlaces``: two partitions of 5 and 6 messages in each topic."""

    def partitions(self, topic: str) -> Iterable[int]:
        return [0, 1]

    def of(self, topic: str, partitions: Iterable[int]) -> dict[int, int]:
        return {place: 5 + place for place in partitions}


class Start:
    """A member ``me`` on a new state topic."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, mirror: Mirror, log: StateLog) -> None:
        self.kafka = FakeKafka({"mdata": 2})
        self.consumer = FakeConsumer(self.kafka, {"group.id": "group"})
        monkeypatch.setattr(module, "Consumer", lambda _settings: self.consumer)
        self.mirror, self.log = mirror, log
        self.sender = FakeSender(log)
        self.looked = 0

    def register(self) -> Registration:
        registration = Registration("me", self.sender, self.mirror)
        registration.sign(0.0)
        return registration

    def beginning(self, starting_offsets: str) -> Beginning:
        config = parse_config(["--starting-offsets", starting_offsets, "--data-group", "group"], {})
        return Beginning(config, self.mirror, self.sender, Topics())

    @property
    def committed(self) -> dict[int, int]:
        return {partition: offset for (_, _, partition), offset in self.kafka.offsets.items()}


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, mirror: Mirror, log: StateLog) -> Start:
    return Start(monkeypatch, mirror, log)


@pytest.mark.parametrize(
    ("starting_offsets", "committed", "models"),
    [("committed", {}, -2), ("earliest", {0: 0, 1: 0}, -2), ("latest", {0: 5, 1: 6}, 6)],
)
def test_the_first_member_chooses(
    start: Start, starting_offsets: str, committed: dict[int, int], models: int
) -> None:
    beginning = start.beginning(starting_offsets)
    beginning.choose(start.register(), lambda: True)
    assert (start.committed, beginning.models_position(1)) == (committed, models)
    assert start.mirror.get(STARTED) is not None
    # Whoever starts later goes on from what is committed.
    start.kafka.offsets.clear()
    again = start.beginning(starting_offsets)
    again.choose(start.register(), lambda: True)
    assert (start.committed, again.models_position(1)) == ({}, models)


def test_a_member_that_registered_later_waits_for_the_choice_of_the_first(start: Start) -> None:
    """When the first has joined the group, Kafka refuses offsets of another one."""
    start.log.put(Key(Kind.MEMBER, "", "first"), json.dumps({"start": "a"}).encode())

    def first_chooses() -> bool:
        start.looked += 1
        if start.looked == 2:
            start.log.put(Key(Kind.POSITION, "", "0"), b"7")
            start.log.put(STARTED, b"1")
        return True

    beginning = start.beginning("latest")
    beginning.choose(start.register(), first_chooses)
    assert (start.looked, start.committed, beginning.models_position(0)) == (2, {}, 7)


def test_when_the_first_leaves_before_it_has_chosen_the_next_one_does(start: Start) -> None:
    first = Key(Kind.MEMBER, "", "first")
    start.log.put(first, json.dumps({"start": "a"}).encode())

    def first_leaves() -> bool:
        start.log.put(first, None)
        return True

    start.beginning("latest").choose(start.register(), first_leaves)
    assert start.committed == {0: 5, 1: 6}


def test_waiting_ends_with_the_server(start: Start) -> None:
    start.log.put(Key(Kind.MEMBER, "", "first"), json.dumps({"start": "a"}).encode())
    start.beginning("latest").choose(start.register(), lambda: False)
    assert (start.committed, start.mirror.get(STARTED)) == ({}, None)


def test_others_in_the_group_are_told_in_one_line(start: Start) -> None:
    start.consumer.fail["commit"] = failure(KafkaError.UNKNOWN_MEMBER_ID)
    with pytest.raises(MessagingError, match="others read in the group 'group'; end them or choose another"):
        start.beginning("earliest").choose(start.register(), lambda: True)


def test_a_state_topic_that_takes_nothing_interrupts(start: Start) -> None:
    registration = start.register()
    start.sender.is_slow = True
    with pytest.raises(Interrupted, match="the state topic takes nothing"):
        start.beginning("committed").choose(registration, lambda: True)
