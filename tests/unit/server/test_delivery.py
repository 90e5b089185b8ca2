"""Offsets are committed with or after the output that they stand for; whoever is fenced stops."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, TopicPartition

from model_serving.messaging.access import KafkaAccess
from model_serving.server import delivery as module
from model_serving.server import transactions
from model_serving.server.delivery import AtLeastOnce, ExactlyOnce
from model_serving.server.entries import Entry, Key, Kind
from model_serving.server.errors import Fenced, Interrupted
from model_serving.server.progress import Progress
from tests.fake_kafka import FakeConsumer, FakeKafka, FakeProducer, failure

ACCESS = KafkaAccess("localhost:1", {})
ENTRY = Entry(Key(Kind.WAITING, "wine", "0/0"), b"records")


class Seconds:
    """Stands for the module ``time``."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> Seconds:
    made = Seconds()
    monkeypatch.setattr(module, "time", made)
    monkeypatch.setattr(transactions, "time", made)
    return made


class Clients:
    """A consumer that reads partition 0 of the data topic, and a delivery whose producer is a fake."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kafka = FakeKafka({"data": 2, "results": 1, "state": 2})
        monkeypatch.setattr(module, "Producer", self._producer)
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
        return AtLeastOnce(ACCESS, consumer, self.progress, "state", 0.2)

    def exactly_once(self) -> ExactlyOnce:
        consumer: Any = self.consumer
        return ExactlyOnce(ACCESS, consumer, self.progress, "state", 0.2, "one")

    @property
    def results(self) -> list[bytes | None]:
        return [message.value() for message in self.kafka.committed("results")]

    @property
    def committed(self) -> int | None:
        return self.kafka.offsets.get(("group", "data", 0))


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> Clients:
    return Clients(monkeypatch)


def test_at_least_once_commits_after_the_interval_and_what_was_served(
    clients: Clients, seconds: Seconds
) -> None:
    delivery = clients.at_least_once()
    clients.read(b"a", b"b")
    delivery.write("results", [b"1", b"2"])
    delivery.tend(has_read=True)
    assert (clients.results, clients.committed) == ([b"1", b"2"], None)
    seconds.now += 0.2
    delivery.tend(has_read=False)
    assert clients.committed == 2
    # Partition 1 has given nothing, so nothing is known of it.
    assert ("group", "data", 1) not in clients.kafka.offsets
    seconds.now += 10
    clients.kafka.offsets.clear()
    delivery.tend(has_read=False)
    assert clients.committed is None


def test_at_least_once_commits_while_much_is_under_way_when_it_is_late(
    clients: Clients, seconds: Seconds
) -> None:
    delivery = clients.at_least_once()
    clients.read(b"a")
    delivery.tend(has_read=True)
    clients.producer.under_way = 7
    seconds.now += 0.3
    delivery.tend(has_read=False)
    assert "flush" not in clients.producer.calls
    seconds.now += 0.2
    with pytest.raises(Interrupted, match="Kafka has not taken the results within 10 s"):
        delivery.tend(has_read=False)
    assert clients.committed is None


def test_at_least_once_commits_nothing_after_a_message_that_was_not_delivered(clients: Clients) -> None:
    delivery = clients.at_least_once()
    clients.read(b"a")
    delivery.tend(has_read=True)
    clients.producer.settings["on_delivery"](KafkaError(KafkaError.MSG_SIZE_TOO_LARGE), None)
    for act in (delivery.finish, lambda: delivery.tend(has_read=True)):
        with pytest.raises(Interrupted, match="a message was not delivered"):
            act()
    assert clients.committed is None


def test_a_commit_that_a_rebalance_refuses_does_no_harm_and_a_fenced_one_ends(clients: Clients) -> None:
    delivery = clients.at_least_once()
    clients.read(b"a")
    delivery.tend(has_read=True)
    clients.consumer.fail["commit"] = failure(KafkaError.ILLEGAL_GENERATION)
    delivery.finish()
    clients.read(b"b")
    delivery.tend(has_read=True)
    clients.consumer.fail["commit"] = failure(KafkaError.FENCED_INSTANCE_ID)
    with pytest.raises(Fenced):
        delivery.finish()


def test_exactly_once_shows_results_and_offsets_together(clients: Clients, seconds: Seconds) -> None:
    delivery = clients.exactly_once()
    clients.read(b"a", b"b")
    delivery.write("results", [b"1", b"2"])
    delivery.state([ENTRY])
    delivery.tend(has_read=True)
    assert (clients.results, clients.committed, clients.kafka.committed("state")) == ([], None, [])
    seconds.now += 0.2
    delivery.tend(has_read=False)
    assert (clients.results, clients.committed) == ([b"1", b"2"], 2)
    assert [message.partition() for message in clients.kafka.committed("state")] == [1]
    delivery.finish()
    assert clients.producer.calls.count("commit_transaction") == 1


def test_exactly_once_commits_offsets_of_records_without_output(clients: Clients) -> None:
    """They were dropped, for instance."""
    delivery = clients.exactly_once()
    clients.read(b"a")
    delivery.write("results", [])
    delivery.tend(has_read=True)
    delivery.finish()
    assert clients.committed == 1


def test_who_starts_with_the_same_name_ends_the_open_transaction_and_fences(clients: Clients) -> None:
    first = clients.exactly_once()
    clients.read(b"a")
    first.write("results", [b"of the first"])
    second = clients.exactly_once()
    with pytest.raises(Fenced):
        first.finish()
    second.write("results", [b"of the second"])
    second.finish()
    assert clients.results == [b"of the second"]


def test_a_member_that_has_lost_its_partitions_commits_nothing(clients: Clients) -> None:
    delivery = clients.exactly_once()
    clients.read(b"a")
    delivery.write("results", [b"1"])
    clients.consumer.generation, clients.kafka.generation = 1, 2
    with pytest.raises(Interrupted, match="a transaction failed"):
        delivery.finish()
    delivery.close()
    assert (clients.results, clients.committed) == ([], None)


@pytest.mark.parametrize("step", ["send_offsets_to_transaction", "commit_transaction"])
def test_what_may_be_retried_is_tried_again(clients: Clients, step: str) -> None:
    delivery = clients.exactly_once()
    clients.read(b"a")
    delivery.write("results", [b"1"])
    clients.producer.fail[step] = failure(KafkaError._TIMED_OUT, retriable=True)
    delivery.finish()
    assert (clients.results, clients.committed, clients.producer.calls.count(step)) == ([b"1"], 1, 2)


def test_what_may_be_retried_is_given_up_after_a_while(clients: Clients, seconds: Seconds) -> None:
    delivery = clients.exactly_once()
    clients.read(b"a")
    delivery.write("results", [b"1"])
    tries: list[float] = []

    def act(*_: object) -> None:
        tries.append(seconds.now)
        seconds.now += 5
        raise failure(KafkaError._TIMED_OUT, retriable=True)

    clients.producer.commit_transaction = act  # type: ignore[method-assign,assignment]
    with pytest.raises(Interrupted, match="a transaction failed"):
        delivery.finish(patience_s=30)
    assert tries == [1_000.0 + 5 * number for number in range(7)]


def test_a_call_that_never_returns_is_left_behind(clients: Clients) -> None:
    """Librdkafka waits for ever in some calls when the broker dies meanwhile."""
    delivery = clients.exactly_once()
    clients.read(b"a")
    delivery.write("results", [b"1"])
    answered = threading.Event()
    clients.producer.commit_transaction = lambda *_: answered.wait(60)  # type: ignore[method-assign,assignment]
    with pytest.raises(Interrupted, match="Kafka does not answer"):
        delivery.finish(patience_s=-0.9)
    delivery.close()
    answered.set()
    assert "abort_transaction" not in clients.producer.calls


@pytest.mark.parametrize("make", [Clients.at_least_once, Clients.exactly_once])
def test_after_the_end_nothing_is_committed_any_more(
    clients: Clients, make: Callable[[Clients], AtLeastOnce | ExactlyOnce]
) -> None:
    """The consumer gives its partitions back last, when records may have been read and not served."""
    delivery = make(clients)
    clients.read(b"a")
    delivery.tend(has_read=True)
    clients.read(b"b")
    delivery.close()
    delivery.finish()
    assert clients.committed is None


def test_an_end_that_kafka_refuses_is_an_end(clients: Clients) -> None:
    delivery = clients.exactly_once()
    delivery.tend(has_read=True)
    clients.producer.fail["abort_transaction"] = failure(KafkaError._TIMED_OUT)
    delivery.close()


def test_an_error_that_is_not_kafkas_is_not_taken_for_a_commit(clients: Clients) -> None:
    delivery = clients.exactly_once()
    clients.read(b"a")
    delivery.write("results", [b"1"])
    clients.producer.fail["commit_transaction"] = RuntimeError("a bug")  # type: ignore[assignment]
    with pytest.raises(RuntimeError, match="a bug"):
        delivery.finish()
