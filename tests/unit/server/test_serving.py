"""The serving loop: records, partitions, errors of Kafka, and the end."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

import pytest
from confluent_kafka import KafkaError, TopicPartition

from model_serving.protos.deadletter_pb2 import DeadLetter
from model_serving.server import partitions
from model_serving.server.errors import Fenced, Interrupted
from tests.fake_kafka import FakeMessage, failure
from tests.unit.server.loops import TOPICS, Loop


def test_a_commit_before_a_batch_is_served_leaves_the_batch_out(loop: Loop) -> None:
    """Where a model may have to be loaded, a commit comes first; a kill meanwhile must lose nothing."""
    loop.arrive(0)
    committed: list[int] = []
    loop.delivery.on_finish = lambda: committed.append(loop.progress.next_offset(0))
    for number in (1, 2):
        loop.send(0, "wine", number)
        loop.loop.step()
    assert (committed, loop.progress.next_offset(0)) == ([0, 1], 2)


def test_a_commit_can_come_between_reading_a_batch_and_serving_it_and_leaves_it_out(loop: Loop) -> None:
    """The results of the batch before have arrived by then, so that the commit need not wait for them."""
    loop.activate("wine", 1, b"one")
    loop.arrive(0)
    seen: list[tuple[bool, int, int]] = []
    loop.delivery.on_tend = lambda has_read: seen.append(
        (has_read, loop.progress.next_offset(0), len(loop.results))
    )
    for number in (1, 2):
        loop.send(0, "wine", number)
        loop.loop.step()
    loop.loop.step()
    assert seen == [(False, 0, 0), (True, 1, 1), (False, 1, 1), (True, 2, 2), (False, 2, 2)]


def test_records_of_a_partition_that_went_while_they_were_gathered_are_dropped(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads the partition now reads them again."""
    loop.activate("wine", 1, b"one")
    loop.arrive(0, 1)
    loop.send(0, "wine", 1)
    loop.send(1, "wine", 2)
    consume = loop.consumer.consume

    def consume_and_lose(count: int, timeout: float) -> list[Any]:
        gathered = consume(count, timeout)
        loop.share(1)
        return gathered

    monkeypatch.setattr(loop.consumer, "consume", consume_and_lose)
    loop.loop.step()
    assert loop.results == [(2, "v1")]
    assert [(one.partition, one.offset) for one in loop.progress.places()] == [(1, 1)]


def test_records_that_come_while_none_is_there_are_one_batch(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of them ends the waiting. Alone, it would cost as much as all of them together."""
    loop.activate("wine", 1, b"one")
    loop.arrive(0)
    consume = loop.consumer.consume

    def come(count: int, timeout: float) -> list[Any]:
        if timeout:
            loop.send(0, "wine", 1, 2, 3)
        return consume(count, timeout)

    monkeypatch.setattr(loop.consumer, "consume", come)
    loop.loop.step()
    assert loop.results == [(1, "v1"), (2, "v1"), (3, "v1")]
    assert list(map(len, loop.engine.models[-1].scored)) == [3]


def test_records_gather_while_a_model_loads_unless_there_is_a_backlog(loop: Loop) -> None:
    loop.activate("wine", 1, b"one")
    loop.arrive(0)

    def waits() -> bool:
        before = loop.seconds.monotonic()
        loop.loop.step()
        return loop.seconds.monotonic() > before

    assert not waits()
    loop.is_loading = True
    loop.send(0, "wine", *range(1, 151))
    assert waits()
    assert not waits()
    assert waits()
    assert len(loop.results) == 150


def test_records_are_not_read_before_the_state_of_their_partition_is_known(loop: Loop) -> None:
    loop.ends.known = {0: 3, 1: 7}
    loop.send(0, "wine", 1)
    loop.share(0)
    loop.loop.step()
    assert (loop.paused, loop.partitions, loop.delivery.written) == ({0}, {0}, {})
    loop.mirror.apply([], {0: 3, 1: 6})
    loop.loop.step()
    assert loop.paused == {0}
    loop.mirror.apply([], {1: 7})
    loop.loop.step()
    assert (loop.paused, loop.waiting.count("wine")) == (set(), 1)


def test_a_partition_whose_state_is_known_is_never_paused(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a pause the client may begin to fetch as late as a second after it is told to go on."""
    touched: list[str] = []
    monkeypatch.setattr(loop.consumer, "pause", lambda _: touched.append("pause"))
    monkeypatch.setattr(loop.consumer, "resume", lambda _: touched.append("resume"))
    loop.ends.known = {0: 3, 1: 7}
    loop.mirror.apply([], {0: 3, 1: 7})
    loop.send(0, "wine", 1)
    loop.share(0)
    loop.loop.step()
    assert (touched, loop.partitions, loop.waiting.count("wine")) == ([], {0}, 1)


def test_what_the_mirror_is_about_to_have_is_waited_for(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "_SOON_S", 60)
    loop.ends.known = {0: 3, 1: 7}
    follow = threading.Timer(0, loop.mirror.apply, ([], {0: 3, 1: 7}))
    follow.start()
    loop.share(0)
    follow.join()
    assert (loop.paused, loop.partitions) == (set(), {0})


def test_a_partition_that_went_while_it_was_paused_is_read_when_it_comes_back(loop: Loop) -> None:
    """The client may remember that it was paused."""
    loop.ends.known = {0: 3, 1: 7}
    loop.share(0)
    assert loop.paused == {0}
    loop.share()
    loop.mirror.apply([], {0: 3, 1: 7})
    loop.send(0, "wine", 1)
    loop.share(0)
    loop.loop.step()
    assert (loop.paused, loop.waiting.count("wine")) == (set(), 1)


def test_a_partition_that_comes_while_nothing_may_be_read_is_paused_until_that_is_over(loop: Loop) -> None:
    loop.loop._partitions.hold_back(True)
    loop.arrive(0)
    assert loop.paused == {0}
    loop.loop._partitions.hold_back(False)
    assert loop.paused == set()


def test_a_partition_that_goes_is_committed_first_and_takes_its_records_along(loop: Loop) -> None:
    loop.arrive(0, 1)
    loop.send(0, "wine", 1)
    loop.send(1, "wine", 2, 3)
    loop.loop.step()
    loop.log.write(*loop.delivery.entries)
    loop.delivery.calls.clear()
    loop.share(0)
    assert loop.delivery.calls == ["finish"]
    assert (loop.partitions, loop.waiting.count("wine")) == ({0}, 1)
    loop.kafka.offsets["data", TOPICS.data, 1] = 2
    loop.arrive(0, 1)
    assert loop.waiting.count("wine") == 3


def test_partitions_that_are_lost_interrupt_and_nothing_is_committed(loop: Loop) -> None:
    """Others have read the records again: what is open would be there twice."""
    loop.arrive(0)
    loop.send(0, "wine", 1)
    loop.loop.step()
    loop.delivery.calls.clear()
    loop.consumer.on_lost(loop.consumer, [TopicPartition(TOPICS.data, 0)])
    with pytest.raises(Interrupted, match="gave its partitions to others"):
        loop.loop.step()
    assert (loop.delivery.calls, loop.partitions) == ([], set())


def test_what_is_open_is_not_committed_when_partitions_go_after_others_were_lost(loop: Loop) -> None:
    """The client may tell both in one call."""
    loop.arrive(0, 1)
    loop.send(0, "wine", 1)
    loop.loop.step()
    loop.delivery.calls.clear()
    loop.consumer.on_lost(loop.consumer, [TopicPartition(TOPICS.data, 0)])
    loop.consumer.on_revoke(loop.consumer, [TopicPartition(TOPICS.data, 1)])
    assert (loop.delivery.calls, loop.partitions) == ([], set())


def test_joining_anew_gives_the_partitions_up_and_takes_what_comes(loop: Loop) -> None:
    loop.arrive(0)
    loop.send(0, "wine", 1)
    loop.loop.step()
    loop.delivery.calls.clear()
    loop.loop.join_anew()
    assert (loop.delivery.calls, loop.partitions, loop.loop.has_joined) == (["finish"], set(), False)
    loop.arrive(0, 1)
    assert (loop.partitions, loop.loop.has_joined) == ({0, 1}, True)


def test_a_bounded_run_ends_when_all_is_read_and_gives_up_what_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = Loop(monkeypatch, until={0: 2, 1: 0, 2: 5})
    loop.loop.step()
    assert not loop.is_at_end(), "it has not joined the group yet"
    loop.send(0, "wine", 1, 2)
    loop.share(0, 1)
    loop.loop.step()
    assert not loop.is_at_end()
    loop.mirror.apply([], {0: 0, 1: 0})
    loop.loop.step()
    loop.loop.step()
    assert loop.is_at_end()
    loop.loop.end(patience_s=5)
    assert [(letter.reason, letter.dataType) for letter in loop.letters] == [
        (DeadLetter.NO_MODEL, "wine")
    ] * 2
    assert (loop.waiting.count("wine"), loop.seconds.slept) == (0, 0)
    loop.loop.stop()
    assert loop.delivery.calls[-1] == "finish"
    loop.close()


@pytest.mark.parametrize(
    ("code", "raised"),
    [
        (KafkaError._ALL_BROKERS_DOWN, None),
        (KafkaError._TRANSPORT, None),
        (KafkaError.FENCED_INSTANCE_ID, Fenced),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, Interrupted),
    ],
)
def test_errors_among_messages(loop: Loop, code: int, raised: type[Exception] | None) -> None:
    loop.activate("wine", 1, b"one")
    loop.arrive(0)
    loop.send(0, "wine", 1)
    loop.consumer.news = [FakeMessage((TOPICS.data, 0), -1, None, None, why=KafkaError(code))]
    if raised is None:
        loop.loop.step()
        assert loop.results == [(1, "v1")]
    else:
        with pytest.raises(raised):
            loop.loop.step()


def test_a_kafka_that_does_not_answer_during_a_rebalance_interrupts(loop: Loop) -> None:
    def away(topic: str, partitions: Iterable[int]) -> dict[int, int]:
        raise failure(KafkaError._TRANSPORT)

    loop.ends.of = away  # type: ignore[method-assign]
    loop.share(0)
    with pytest.raises(Interrupted, match="the end of the state topic is not known"):
        loop.loop.step()


def test_a_commit_that_fails_while_partitions_go_interrupts(loop: Loop) -> None:
    def refused(*, patience_s: float = 30.0) -> None:
        raise Fenced("another one")

    loop.arrive(0)
    loop.delivery.finish = refused  # type: ignore[method-assign]
    loop.share(1)
    with pytest.raises(Fenced):
        loop.loop.step()
    assert loop.consumer.assignment() == [TopicPartition(TOPICS.data, 1)]


def test_an_end_without_kafka_does_not_wait_for_it(loop: Loop) -> None:
    given: list[float] = []

    def refused(*, patience_s: float = 30.0) -> None:
        given.append(patience_s)
        raise Interrupted("Kafka is away")

    loop.delivery.finish = refused  # type: ignore[method-assign]
    loop.loop.stop()
    assert given == [3.0]
