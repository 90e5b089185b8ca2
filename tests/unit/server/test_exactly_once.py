"""Output and offsets are committed together; what comes during a commit belongs to the next one."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from confluent_kafka import KafkaError

from model_serving.server import held, transactions
from model_serving.server.entries import Entry, Key, Kind
from model_serving.server.errors import Fenced, Interrupted
from model_serving.server.exactly_once import ExactlyOnce
from tests.fake_kafka import failure
from tests.unit.server.clients import Clients, Seconds

ENTRY = Entry(Key(Kind.WAITING, "wine", "0/0"), b"records")


def written(clients: Clients) -> ExactlyOnce:
    """A delivery that has written the result of one record, and committed nothing."""
    delivery = clients.exactly_once()
    clients.read(b"a")
    delivery.write("results", [b"1"])
    return delivery


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


def test_a_member_that_has_lost_its_partitions_commits_nothing(clients: Clients, seconds: Seconds) -> None:
    """It never comes to the group's new generation, so all its attempts are refused."""
    delivery = written(clients)
    clients.consumer.generation, clients.kafka.generation = 1, 2
    with pytest.raises(Interrupted, match="a transaction failed"):
        delivery.finish()
    delivery.close()
    assert (clients.results, clients.committed) == ([], None)
    assert 1_009 < seconds.now < 1_011, "the patience of a commit"


@pytest.mark.parametrize("step", ["send_offsets_to_transaction", "commit_transaction"])
def test_what_may_be_retried_is_tried_again(clients: Clients, step: str) -> None:
    delivery = written(clients)
    clients.producer.fail[step] = failure(KafkaError._TIMED_OUT, retriable=True)
    delivery.finish()
    assert (clients.results, clients.committed, clients.producer.calls.count(step)) == ([b"1"], 1, 2)


def test_what_may_be_retried_is_given_up_after_a_while(clients: Clients, seconds: Seconds) -> None:
    delivery = written(clients)
    tries: list[float] = []

    def act(*_: object) -> None:
        tries.append(seconds.now)
        seconds.now += 5
        raise failure(KafkaError._TIMED_OUT, retriable=True)

    clients.producer.commit_transaction = act  # type: ignore[method-assign,assignment]
    with pytest.raises(Interrupted, match="a transaction failed"):
        delivery.finish(patience_s=30)
    assert tries == [1_000.0 + 5 * number for number in range(7)]


def test_a_call_that_never_returns_is_left_behind(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    """Librdkafka waits for ever in some calls when the broker dies meanwhile."""
    delivery = written(clients)
    monkeypatch.setattr(transactions, "Thread", threading.Thread)
    answered = threading.Event()
    clients.producer.commit_transaction = lambda *_: answered.wait(60)  # type: ignore[method-assign,assignment]
    with pytest.raises(Interrupted, match="Kafka does not answer"):
        delivery.finish(patience_s=-0.9)
    delivery.close()
    answered.set()
    assert "abort_transaction" not in clients.producer.calls


def test_an_end_that_kafka_refuses_is_an_end(clients: Clients) -> None:
    delivery = clients.exactly_once()
    delivery.tend(has_read=True)
    clients.producer.fail["abort_transaction"] = failure(KafkaError._TIMED_OUT)
    delivery.close()


def test_an_error_that_is_not_kafkas_is_not_taken_for_a_commit(clients: Clients) -> None:
    delivery = written(clients)
    clients.producer.fail["commit_transaction"] = RuntimeError("a bug")  # type: ignore[assignment]
    with pytest.raises(RuntimeError, match="a bug"):
        delivery.finish()


def committing(clients: Clients, seconds: Seconds, at: str = "before a commit") -> ExactlyOnce:
    """A delivery whose commit of one record and its result is under way."""
    delivery = clients.exactly_once()
    clients.consumer.generation = clients.kafka.generation = 1
    clients.hold_commits(at)
    clients.read(b"a")
    delivery.write("results", [b"1"])
    delivery.tend(has_read=True)
    seconds.now += 0.2
    delivery.tend(has_read=False)
    assert (clients.results, clients.committed) == ([], None)
    return delivery


def test_what_is_written_during_a_commit_belongs_to_the_next_transaction(
    clients: Clients, seconds: Seconds
) -> None:
    delivery = committing(clients, seconds)
    clients.read(b"b", b"c")
    delivery.write("results", [b"2", b"3"])
    delivery.state([ENTRY])
    delivery.write("results", [b"4"])
    delivery.tend(has_read=True)
    assert (delivery.holds_back, clients.producer.calls.count("produce")) == (True, 1)
    clients.threads.go_on()
    assert (clients.results, clients.committed) == ([b"1"], 1)
    delivery.tend(has_read=False)
    assert (delivery.holds_back, clients.results, clients.committed) == (False, [b"1"], 1)
    seconds.now += 0.2
    delivery.tend(has_read=False)
    clients.threads.go_on()
    assert (clients.results, clients.committed) == ([b"1", b"2", b"3", b"4"], 3)
    assert [message.partition() for message in clients.kafka.committed("state")] == [1]


def test_records_without_output_during_a_commit_belong_to_the_next_transaction(
    clients: Clients, seconds: Seconds
) -> None:
    delivery = committing(clients, seconds)
    clients.read(b"b")
    delivery.tend(has_read=True)
    clients.threads.go_on()
    assert clients.committed == 1
    delivery.finish()
    assert (clients.results, clients.committed) == ([b"1"], 2)


def test_the_end_of_a_commit_is_seen_by_the_next_write(clients: Clients, seconds: Seconds) -> None:
    delivery = committing(clients, seconds)
    delivery.write("results", [b"2"])
    clients.threads.go_on()
    delivery.write("results", [b"3"])
    assert (delivery.holds_back, clients.producer.calls.count("produce")) == (False, 3)


def test_finish_commits_what_is_under_way_and_what_was_held(clients: Clients, seconds: Seconds) -> None:
    delivery = committing(clients, seconds)
    clients.read(b"b")
    delivery.write("results", [b"2"])
    delivery.finish()
    assert (clients.results, clients.committed) == ([b"1", b"2"], 2)


def test_what_is_held_is_bounded(clients: Clients, seconds: Seconds, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer waits for the commit then."""
    monkeypatch.setattr(held, "_MOST_BYTES", 1_000)
    delivery = committing(clients, seconds)
    delivery.write("results", [bytes(1_000)])
    assert (delivery.holds_back, clients.results) == (True, [])
    delivery.write("results", [b"2"])
    assert (delivery.holds_back, clients.results, clients.committed) == (False, [b"1"], 1)
    delivery.finish()
    assert clients.results == [b"1", bytes(1_000), b"2"]


def test_a_commit_that_fails_while_records_are_scored_is_told_and_nothing_goes_on(
    clients: Clients, seconds: Seconds
) -> None:
    delivery = committing(clients, seconds)
    clients.producer.fail["commit_transaction"] = failure(KafkaError.INVALID_TXN_STATE)
    clients.read(b"b")
    delivery.write("results", [b"2"])
    clients.threads.go_on()
    with pytest.raises(Interrupted, match="a transaction failed"):
        delivery.tend(has_read=True)
    delivery.close()
    assert (clients.results, clients.committed) == ([], None)
    assert "abort_transaction" not in clients.producer.calls


def test_a_commit_that_takes_too_long_is_told(
    clients: Clients, seconds: Seconds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "Thread", threading.Thread)
    delivery = clients.exactly_once()
    answered = threading.Event()
    clients.producer.commit_transaction = lambda *_: answered.wait(60)  # type: ignore[method-assign,assignment]
    delivery.tend(has_read=True)
    seconds.now += 0.2
    delivery.tend(has_read=False)
    seconds.now += 10
    delivery.tend(has_read=True)
    seconds.now += 2
    with pytest.raises(Interrupted, match="Kafka does not answer"):
        delivery.tend(has_read=True)
    answered.set()


def test_an_end_during_a_commit_gives_up_what_was_held(clients: Clients, seconds: Seconds) -> None:
    delivery = committing(clients, seconds)
    clients.read(b"b")
    delivery.write("results", [b"2"])
    delivery.close()
    assert (clients.results, clients.committed) == ([b"1"], 1)
    assert clients.producer.calls.count("produce") == 1


def test_a_commit_that_a_rebalance_overtakes_is_repeated_with_the_same_output(
    clients: Clients, seconds: Seconds
) -> None:
    delivery = committing(clients, seconds, at="before offsets")
    clients.read(b"b")
    delivery.write("results", [b"2"])
    delivery.state([ENTRY])
    clients.consumer.generation = clients.kafka.generation = 7
    clients.threads.go_on()
    assert (clients.results, clients.committed) == ([], None)
    delivery.tend(has_read=True)
    assert (clients.results, clients.committed, clients.kafka.committed("state")) == ([b"1"], 1, [])
    delivery.finish()
    assert (clients.results, clients.committed) == ([b"1", b"2"], 2)
    assert [message.partition() for message in clients.kafka.committed("state")] == [1]
    assert clients.producer.calls.count("abort_transaction") == 1


def test_state_and_results_are_repeated_in_their_order(clients: Clients, seconds: Seconds) -> None:
    delivery = written(clients)
    delivery.state([ENTRY])
    delivery.write("results", [b"2"])
    clients.producer.fail["send_offsets_to_transaction"] = failure(KafkaError.ILLEGAL_GENERATION)
    delivery.finish()
    assert clients.results == [b"1", b"2"]
    topics = [one.place[0] for place in ("results", "state") for one in clients.kafka.committed(place)]
    assert topics == ["results", "results", "state"]


def test_the_new_generation_is_waited_for(
    clients: Clients, seconds: Seconds, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker knows of it before the member."""
    delivery = written(clients)
    clients.consumer.generation, clients.kafka.generation = 1, 2

    def sleep(passed_s: float) -> None:
        seconds.now += passed_s
        if seconds.now > 1_000.1:
            clients.consumer.generation = 2

    monkeypatch.setattr(seconds, "sleep", sleep)
    delivery.finish()
    assert (clients.results, clients.committed) == ([b"1"], 1)
    assert clients.producer.calls.count("send_offsets_to_transaction") == 2
    assert seconds.now < 1_000.2


def test_a_commit_that_is_overtaken_twice_is_repeated_twice(
    clients: Clients, seconds: Seconds, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = written(clients)
    refusals = [KafkaError.ILLEGAL_GENERATION, KafkaError.REBALANCE_IN_PROGRESS]
    send = clients.producer.send_offsets_to_transaction

    def refuse(*args: Any) -> None:
        if refusals:
            raise failure(refusals.pop(0))
        send(*args)

    monkeypatch.setattr(clients.producer, "send_offsets_to_transaction", refuse)
    delivery.finish()
    assert (clients.results, clients.committed) == ([b"1"], 1)
    assert clients.producer.calls.count("abort_transaction") == 2


def test_a_member_that_ends_does_not_repeat_a_commit(clients: Clients, seconds: Seconds) -> None:
    """Its partitions may be lost: others have read the records again."""
    delivery = committing(clients, seconds, at="before offsets")
    clients.consumer.generation = clients.kafka.generation = 7
    delivery.close()
    assert (clients.results, clients.committed) == ([], None)
    assert clients.producer.calls.count("send_offsets_to_transaction") == 1
