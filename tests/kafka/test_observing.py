"""A board that follows the topics of a real Kafka, with messages that the tests write themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from confluent_kafka.cimpl import NewPartitions

from model_serving.client.broker.embedded import EmbeddedBroker, Retention
from model_serving.messaging.connection import connect
from model_serving.messaging.following import TopicFollower
from model_serving.messaging.topics import TopicNames
from model_serving.observe.board import Board, Topic
from model_serving.observe.reading import BoardFeeder, Health, News, read_board
from model_serving.protos.modelstatus_pb2 import ModelStatus
from tests.kafka.sending import create, send, wait_until
from tests.unit.observe.sent import active, letter, statistics

pytestmark = pytest.mark.kafka


def kinds(topics: TopicNames, stats_topic: str) -> dict[str, Topic]:
    return {
        topics.status: Topic.STATUS,
        stats_topic: Topic.STATISTICS,
        topics.dead_letters: Topic.DEAD_LETTERS,
    }


def test_a_board_of_what_the_topics_hold(
    broker: EmbeddedBroker, topics: TopicNames, stats_topic: str
) -> None:
    servers = broker.bootstrap_servers
    create(connect(broker.kafka), stats_topic)
    send(servers, topics.status, active(10, "v1"), b"\xff\xff", active(20, "v2", "v1"))
    send(servers, stats_topic, statistics(30, [1.0, 2.0], version="v2"), b"\xff\xff", None)
    send(servers, topics.dead_letters, letter(25), b"\xff\xff")
    board = read_board(broker.kafka, kinds(topics, stats_topic))
    answer = board.data_type("wine")
    assert answer is not None
    assert (answer.version, answer.previous, answer.since) == ("v2", "v1", 20)
    assert (answer.scored, answer.dead_letters) == (2, {"NO_MODEL": 1})


def test_a_feeder_tells_when_it_is_ready_and_sees_new_topics_and_partitions(
    broker: EmbeddedBroker, topics: TopicNames, stats_topic: str
) -> None:
    servers, admin = broker.bootstrap_servers, connect(broker.kafka)
    # The last thing in the topic is the mark of a transaction, which nobody receives.
    send(servers, topics.status, *(active(ts, f"v{ts}") for ts in range(1, 3001)), transactional=True)
    board = Board()
    feeder = BoardFeeder(board, broker.kafka, kinds(topics, stats_topic))
    heard: list[News] = []
    assert feeder.health == Health(False, False, None, tuple(kinds(topics, stats_topic)), None)
    feeder.listen(heard.extend)
    feeder.start()
    try:
        wait_until(lambda: feeder.health.ready, "the feeder is not ready")
        answer = board.data_type("wine")
        assert answer is not None
        assert answer.version == "v3000"
        assert missing(feeder) == [stats_topic]
        assert len(heard) == 3000

        create(admin, stats_topic)
        send(servers, stats_topic, statistics(4000, [1.0], version="v3000"))
        wait_until(lambda: scored(board) == 1, "the new topic is not read")
        assert missing(feeder) == []
        assert topics_of(heard[-1:]) == [Topic.STATISTICS]

        admin.create_partitions([NewPartitions(topics.dead_letters, 2)])[topics.dead_letters].result(20)
        send(servers, topics.dead_letters, letter(5000), partition=1)
        wait_until(lambda: bool(board.dead_letters()), "the new partition is not read")
        assert feeder.health.ready

        feeder.forget(heard.extend)
        send(servers, topics.dead_letters, letter(5001), partition=0)
        wait_until(lambda: len(board.dead_letters()) == 2, "the old partition is not read any more")
        assert topics_of(heard[-1:]) == [Topic.DEAD_LETTERS]
        groups = admin.list_consumer_groups().result(timeout=20)
        assert [one.group_id for one in groups.valid if "model-serving-follow" in one.group_id] == []
    finally:
        feeder.stop()
    assert feeder.failure is None


def topics_of(news: Iterable[News]) -> list[Topic]:
    return [one.topic for one in news]


def missing(feeder: BoardFeeder) -> list[str]:
    return list(feeder.health.missing)


def scored(board: Board) -> int:
    answer = board.data_type("wine")
    return 0 if answer is None else answer.scored


def test_a_follower_goes_on_after_an_outage(tmp_path: Path) -> None:
    now = 0.0
    with EmbeddedBroker(folder=tmp_path / "kafka", retention=Retention.KEEP) as broker:
        topics = broker_topics()
        send(broker.bootstrap_servers, topics[0], active(1, "v1"))
        with TopicFollower(broker.kafka, topics, lambda: now) as follower:
            found: list[str] = []

            def read_until(holds: Callable[[], bool], what: str) -> list[str]:
                nonlocal now
                found.clear()

                def poll() -> bool:
                    nonlocal now
                    now += 1
                    found.extend(versions(one.payload for one in follower.poll(0.1)))
                    return holds()

                wait_until(poll, what)
                return list(found)

            assert not follower.ready
            assert read_until(lambda: follower.ready, "not ready at the start") == ["v1"]
            broker.stop()
            assert read_until(lambda: not follower.ready, "ready without Kafka") == []
            assert follower.silent_s is not None
            assert follower.silent_s >= 10
            assert follower.trouble is None
            broker.start()
            send(broker.bootstrap_servers, topics[0], active(2, "v2"))
            # It may have been at the end once more before there was another message.
            assert read_until(lambda: follower.ready and bool(found), "not read after the outage") == ["v2"]
            assert follower.generation == 0


def broker_topics() -> tuple[str, str]:
    names = TopicNames()
    return names.status, names.dead_letters


def versions(payloads: Iterable[bytes]) -> list[str]:
    return [ModelStatus.FromString(payload).version for payload in payloads]


def test_a_topic_that_is_made_anew_is_read_anew(broker: EmbeddedBroker, topics: TopicNames) -> None:
    admin, board = connect(broker.kafka), Board()
    send(broker.bootstrap_servers, topics.status, *(active(ts, f"v{ts}") for ts in range(1, 9)))
    feeder = BoardFeeder(board, broker.kafka, {topics.status: Topic.STATUS})
    feeder.start()
    try:
        wait_until(lambda: serving(board) == "v8", "the topic is not read")
        admin.delete_topics([topics.status])[topics.status].result(20)
        wait_until(
            lambda: topics.status not in admin.list_topics(timeout=5).topics, "the topic is not deleted"
        )
        create(admin, topics.status)
        # As many as before: the offsets say nothing.
        send(broker.bootstrap_servers, topics.status, *(active(ts, f"w{ts}") for ts in range(1, 9)))
        wait_until(lambda: serving(board) == "w8", "the new topic is not read")
        assert [one.version for one in board.standing("wine").changes] == [f"w{ts}" for ts in range(1, 9)]
    finally:
        feeder.stop()


def serving(board: Board) -> str:
    answer = board.data_type("wine")
    return "" if answer is None else answer.version
