"""A board and the commands that show it, on a real Kafka with messages that the tests write themselves."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions, NewTopic

from model_serving.client import cli
from model_serving.client.broker.embedded import EmbeddedBroker, Retention
from model_serving.client.printable import as_moment
from model_serving.core.statistics.fields import FieldStatistics, Reference
from model_serving.core.statistics.results import Results
from model_serving.messaging.connection import connect
from model_serving.messaging.following import TopicFollower
from model_serving.messaging.topics import TopicNames
from model_serving.observe.board import Board, Topic
from model_serving.observe.reading import BoardFeeder, Health, News, read_board
from model_serving.protos.deadletter_pb2 import DeadLetter
from model_serving.protos.modelstatus_pb2 import ModelStatus
from tests.jobs import eventually
from tests.terminal import Terminal
from tests.unit.observe.sent import active, letter, rejected, statistics, waiting

pytestmark = pytest.mark.kafka


@pytest.fixture
def stats_topic(topic_prefix: str) -> str:
    """A topic that does not exist yet."""
    return f"{topic_prefix}later-model-stats"


def kinds(topics: TopicNames, stats_topic: str) -> dict[str, Topic]:
    return {
        topics.status: Topic.STATUS,
        stats_topic: Topic.STATISTICS,
        topics.dead_letters: Topic.DEAD_LETTERS,
    }


def create(admin: AdminClient, topic: str, partitions: int = 1) -> None:
    admin.create_topics([NewTopic(topic, num_partitions=partitions, replication_factor=1)])[topic].result(20)


def send(
    bootstrap_servers: str,
    topic: str,
    *messages: ModelStatus | DeadLetter | bytes | None,
    partition: int = 0,
    transactional: bool = False,
) -> None:
    """Sends messages and waits until they are delivered; None deletes a key."""
    settings = {"bootstrap.servers": bootstrap_servers, "transactional.id": topic} if transactional else {}
    producer = Producer({"bootstrap.servers": bootstrap_servers} | settings)
    if transactional:
        producer.init_transactions(20)
        producer.begin_transaction()
    for one in messages:
        payload = one if one is None or isinstance(one, bytes) else one.SerializeToString()
        producer.produce(topic, payload, key=b"k", partition=partition)
    if transactional:
        producer.commit_transaction(20)
        # The mark is written a little after the client has been told of the commit.
        wait_until(lambda: committed_end(bootstrap_servers, topic) > len(messages), "there is no mark")
    assert producer.flush(20) == 0


def committed_end(bootstrap_servers: str, topic: str) -> int:
    """Where a reader of committed messages has reached the end of partition 0."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap_servers, "group.id": "end", "isolation.level": "read_committed"}
    )
    try:
        return int(consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=20)[1])
    finally:
        consumer.close()


def wait_until(holds: Callable[[], bool], what: str) -> None:
    eventually(holds, lambda: what, within_s=30, step_s=0.05)


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

            def read_until(holds: Callable[[], bool], what: str) -> list[str]:
                nonlocal now
                found: list[str] = []

                def poll() -> bool:
                    nonlocal now
                    now += 1
                    found.extend(versions(one.payload for one in follower.poll(0.1)))
                    return holds()

                wait_until(poll, what)
                return found

            assert not follower.ready
            assert read_until(lambda: follower.ready, "not ready at the start") == ["v1"]
            broker.stop()
            assert read_until(lambda: not follower.ready, "ready without Kafka") == []
            assert follower.silent_s is not None
            assert follower.silent_s >= 10
            assert follower.trouble is None
            broker.start()
            send(broker.bootstrap_servers, topics[0], active(2, "v2"))
            assert read_until(lambda: follower.ready, "not ready after the outage") == ["v2"]
            assert follower.generation == 0


def broker_topics() -> tuple[str, str]:
    names = TopicNames()
    return names.status, names.dead_letters


def versions(payloads: Iterable[bytes]) -> list[str]:
    return [ModelStatus.FromString(payload).version for payload in payloads]


Command = Callable[..., tuple[int, list[str], str]]


@pytest.fixture
def environ(broker: EmbeddedBroker, topics: TopicNames, stats_topic: str) -> dict[str, str]:
    return {
        "MODEL_SERVING_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
        "MODEL_SERVING_DEAD_LETTER_TOPIC": topics.dead_letters,
        "MODEL_SERVING_STATUS_TOPIC": topics.status,
        "MODEL_SERVING_STATS_TOPIC": stats_topic,
    }


@pytest.fixture
def command(
    environ: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    """Runs ``model-serving`` in this process; gives status, printed lines and what is on standard error."""
    monkeypatch.setattr("signal.signal", lambda *_: None)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> tuple[int, list[str], str]:
        status = cli.main(arguments)
        out, err = capsys.readouterr()
        return status, out.splitlines(), err

    return run


NAME = "evil\x1b[2J\u202ename"
SHOWN = "evil\\x1b[2J\\u202ename"
"""A name that would clear a terminal that obeys it, and how it is shown."""


@pytest.fixture
def served(broker: EmbeddedBroker, topics: TopicNames, stats_topic: str) -> int:
    """Two versions of a model for 'wine' with statistics, and a rejected one; returns when they swapped."""
    now = time.time_ns() // 1_000_000
    create(connect(broker.kafka), stats_topic)
    results = Results()
    results.add(np.array([1.0, 2.0, 2.0]), ["good", "bad", "bad"])
    reference = Reference("examples", 40, 10, 60.0, (10, 20))
    fields = [FieldStatistics("pH", 200, 50, 450.0, (3.0,), (140, 10), reference)]
    send(
        broker.bootstrap_servers,
        topics.status,
        active(now - 9000, "v1"),
        rejected(now - 8000, "v7"),
        active(now, "v2", "v1", name=NAME, description="second"),
        active(now, "v1", dataType=NAME),
        waiting(now, 7, dataType="beer"),
    )
    send(
        broker.bootstrap_servers,
        stats_topic,
        statistics(now, [1.0, 3.0], since=now - 9000, results=results, fields=fields),
        statistics(now, [5.0], since=now - 3000, version="v2", failed=2, missing=1),
        statistics(now + 1000, [5.0] * 21, version="v2", failed=2, missing=1),
    )
    send(broker.bootstrap_servers, topics.dead_letters, letter(now), letter(now, dataType="beer"))
    return now


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


@pytest.mark.usefixtures("served")
def test_stats_of_a_data_type(command: Command) -> None:
    status, lines, err = command("stats", "wine")
    assert (status, err) == (0, "")
    assert lines[0].startswith(f"wine: {SHOWN} v2 serves since 20")
    assert "dead letters: NO_MODEL 1; 0 records wait" in lines[0]
    assert [line.split("  ")[0] for line in lines[1:]] == ["version=v2"] * 3 + ["version=v1"] * 5
    assert "until=serves  records=21  " in lines[1]
    assert "failed=2  missing=1" in lines[1]
    assert lines[3] == "version=v2  time=latency  p50=5.00  p90=5.00  p99=5.00  p99.9=5.00"
    assert "labels=bad 66.7 %, good 33.3 %  mean=1.667  deviation=0.4714" in lines[7]
    assert "field=pH  missing=25.0 %  mean=3  reference=40 examples  reference missing=25.0 %" in lines[8]
    assert lines[8].endswith("drifted=DRIFTED")


@pytest.mark.usefixtures("served")
def test_stats_as_json(command: Command) -> None:
    status, lines, err = command("stats", "wine", "--json")
    assert (status, len(lines), err) == (0, 1, "")
    answer = json.loads(lines[0])
    assert (answer["dataType"], answer["name"], answer["version"], answer["previous"]) == (
        "wine",
        NAME,
        "v2",
        "v1",
    )
    assert answer["deadLetters"] == {"NO_MODEL": 1}
    second, first = answer["versions"]
    assert (second["version"], second["serves"], second["scored"], second["failed"]) == ("v2", True, 21, 2)
    assert (first["version"], first["scored"], first["results"]["labels"]) == ("v1", 2, {"bad": 2, "good": 1})
    assert (first["fields"][0]["field"], first["fields"][0]["drifted"]) == ("pH", True)


def test_top_prints_once_without_a_terminal(command: Command, served: int) -> None:
    status, lines, err = command("top", "--sort", "scored")
    assert (status, err) == (0, "")
    names = [line.split("  ")[0] for line in lines]
    assert names == ["data type=wine", "data type=beer", f"data type={SHOWN}"]
    assert f"version=v2  since={as_moment(served)}  records/s=" in lines[0]
    assert lines[0].endswith("failed=2  dead=1  waiting=0")
    assert "version=NONE  since=-  records/s=0  p50 ms=-" in lines[1]
    assert lines[1].endswith("dead=1  waiting=7")
    assert [line.split("  ")[0] for line in command("top", "--once", "--search", "WIN")[1]] == [
        "data type=wine"
    ]


def test_query_prints_a_line_an_interval(command: Command, served: int) -> None:
    status, lines, err = command("query", "wine", "--count", "2", "--interval-s", "0.1")
    assert (status, err, lines[0]) == (0, "", lines[1])
    assert lines[0] == (
        f"wine: name={SHOWN}  description=second  since={as_moment(served)}  "
        "average=0.500 ms  min=0.500 ms  max=0.500 ms  records=21"
    )
    status, lines, err = command("query", "--count", "1")
    assert [line.partition(":")[0] for line in lines] == [SHOWN, "wine"]
    assert lines[0].endswith("no record scored yet")
    assert command("query", "beer", "--count", "1")[1] == ["beer: no model serves yet"]


def test_the_history_of_a_data_type(command: Command, served: int) -> None:
    status, lines, err = command("status", "--history", "wine")
    assert (status, err) == (0, "")
    first = f"since={as_moment(served - 9000)}  until={as_moment(served)}"
    refused = f"since={as_moment(served - 8000)}  until=-"
    second = f"since={as_moment(served)}  until=-"
    assert lines == [
        f"data type=wine  state=ACTIVE  model=m  version=v1  replaced=-  {first}  detail=-",
        f"data type=wine  state=REJECTED  model=m  version=v7  replaced=-  {refused}  detail=no such field",
        f"data type=wine  state=ACTIVE  model={SHOWN}  version=v2  replaced=v1  {second}  detail=-",
    ]
    rows = [json.loads(line) for line in command("status", "--history", "--json")[1]]
    assert [(row["dataType"], row["state"], row["version"], row["since"]) for row in rows] == [
        (NAME, "ACTIVE", "v1", served),
        ("wine", "ACTIVE", "v1", served - 9000),
        ("wine", "REJECTED", "v7", served - 8000),
        ("wine", "ACTIVE", "v2", served),
    ]


def test_what_is_missing_is_one_line_with_what_to_do(
    command: Command, broker: EmbeddedBroker, stats_topic: str
) -> None:
    for arguments in (("stats", "wine"), ("query", "wine")):
        status, lines, err = command(*arguments)
        assert (status, lines) == (1, [])
        assert err == (
            f"model-serving {arguments[0]}: there is no topic '{stats_topic}' at {broker.bootstrap_servers}: "
            f"start a job with --stats-topic {stats_topic}, which makes it, or name the job's\n"
        )
    assert command("top", "--once") == (0, [], f"there is no topic '{stats_topic}' yet\n")
    assert command("stats", "wine", "--stats-topic", "")[2] == (
        "model-serving stats: there are no statistics without a topic: name the job's with --stats-topic\n"
    )
    create(connect(broker.kafka), stats_topic)
    status, lines, err = command("stats", "wine")
    assert (status, lines, err.count("\n")) == (1, [], 1)
    assert "no job has reported 'wine'" in err
    status, lines, err = command("query", "wine", "--count", "1")
    assert (status, lines, err.count("\n")) == (1, [], 1)
    assert command("query", "--count", "1")[1] == ["no model serves yet"]
    assert command("status", "--history", "wine")[0] == 1
    assert command("status", "--history")[1] == [
        "no job has reported a model yet: publish one (`model-serving publish-models`)"
    ]


@pytest.mark.skipif(shutil.which("setsid") is None, reason="there is no setsid")
@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("key", [b"q", b"\x03"], ids=["q", "Ctrl-C"])
def test_top_on_a_terminal_shows_the_table_until_a_key_ends_it(environ: dict[str, str], key: bytes) -> None:
    with Terminal(["top"], environ) as terminal:
        shown = terminal.read_until(b"3 data types, by name; q or Ctrl-C ends")
        shown += terminal.read_until(b"wine")
        assert b"evil\\x1b[2J" in shown
        terminal.press(key)
        assert terminal.wait() == 0
        # The terminal shows what it showed before, with its cursor.
        assert b"\x1b[?1049l" in terminal.rest
        assert b"\x1b[?25h" in terminal.rest
        assert terminal.settings() == terminal.before
