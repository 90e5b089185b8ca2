"""Whoever has the first partition of the models topic admits models, and goes on after errors of Kafka."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaError, TopicPartition

from model_serving.events import Events, LogFormat
from model_serving.messaging.access import KafkaAccess
from model_serving.server import election as module
from model_serving.server.election import AdmissionThread
from model_serving.server.errors import Fenced, Interrupted
from tests.fake_kafka import FakeConsumer, FakeKafka, failure
from tests.jobs import eventually


class Office:
    """Stands for an ``AdmittingMember``; ``errors`` are raised by its next rounds."""

    def __init__(self) -> None:
        self.errors: list[Exception] = []
        self.rounds = 0
        self.closed = False

    def step(self) -> None:
        assert not self.closed
        self.rounds += 1
        if self.errors:
            raise self.errors.pop()

    def close(self) -> None:
        self.closed = True


class Election:
    """A thread of admission, its place in the group, and the offices that it took."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kafka = FakeKafka({"models": 2})
        self.consumers: list[FakeConsumer] = []
        self.offices: list[Office] = []
        self.refusals: list[Exception] = []
        monkeypatch.setattr(module, "_PAUSE_S", 0.001)
        monkeypatch.setattr(module, "_IDLE_S", 0.001)
        monkeypatch.setattr(module, "Consumer", self._consumer)
        take_office: Any = self._take_office
        self.thread = AdmissionThread(
            KafkaAccess("localhost:1", {}),
            "models",
            "group",
            "one",
            1,
            take_office,
            self._look,
            Events(LogFormat.TEXT, "one"),
        )

    def _consumer(self, settings: dict[str, object]) -> FakeConsumer:
        self.consumers.append(self.kafka.consumer(settings))
        return self.consumers[-1]

    def _take_office(self, _consumer: object) -> Office:
        if self.refusals:
            raise self.refusals.pop()
        self.offices.append(Office())
        return self.offices[-1]

    def _look(self, _office: object) -> None:
        if self.refusals:
            raise self.refusals.pop()

    def gives(self, *partitions: int) -> None:
        (consumer,) = self.consumers
        places = [TopicPartition("models", place) for place in partitions]
        consumer.callbacks.append(lambda: consumer.on_assign(consumer, places))

    def takes_away(self) -> None:
        (consumer,) = self.consumers
        consumer.callbacks.append(lambda: consumer.on_revoke(consumer, consumer.assignment()))

    def until(self, condition: Callable[[], bool]) -> None:
        eventually(condition, lambda: f"{len(self.offices)} offices", within_s=30, step_s=0.002)

    def works(self, office: int) -> None:
        """Waits until the office that was taken as the n-th does more rounds."""
        self.until(lambda: len(self.offices) > office)
        done = self.offices[office].rounds
        self.until(lambda: self.offices[office].rounds > done + 1)


@pytest.fixture
def election(monkeypatch: pytest.MonkeyPatch) -> Iterator[Election]:
    made = Election(monkeypatch)
    made.thread.start()
    made.until(lambda: made.consumers[0].on_assign.__name__ == "_came")
    yield made
    made.thread.stop()
    assert all(office.closed for office in made.offices)


def test_the_first_partition_is_the_office(election: Election) -> None:
    election.gives(1)
    election.gives(0, 1)
    election.works(0)
    election.takes_away()
    election.until(lambda: election.offices[0].closed)
    assert len(election.offices) == 1
    election.gives(0)
    election.works(1)
    assert election.thread.failure is None


@pytest.mark.parametrize(
    "error", [Fenced("another one"), Interrupted("a transaction"), failure(KafkaError._TRANSPORT)]
)
def test_after_an_error_of_kafka_admission_begins_again(
    election: Election, error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    """A broker that is away for long does not end the server."""
    election.refusals = [error]
    election.gives(0)
    election.works(0)
    election.offices[0].errors = [error]
    election.works(1)
    assert election.offices[0].closed
    election.refusals = [error]
    election.until(lambda: election.offices[1].closed)
    election.works(2)
    assert election.thread.failure is None
    assert capsys.readouterr().err.count("admission begins again") == 3


def test_a_fault_of_the_program_is_a_failure(election: Election) -> None:
    election.gives(0)
    election.works(0)
    election.offices[0].errors = [RuntimeError("a bug")]
    election.until(lambda: election.thread.failure is not None)
    assert str(election.thread.failure) == "a bug"
