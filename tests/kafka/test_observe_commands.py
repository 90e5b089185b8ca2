"""The commands that show a board, on a real Kafka with messages that the tests write themselves."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable

import numpy as np
import pytest

from model_serving.client import cli
from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.client.printable import as_moment
from model_serving.core.statistics.fields import FieldStatistics, Reference
from model_serving.core.statistics.results import Results
from model_serving.messaging.connection import connect
from model_serving.messaging.topics import TopicNames
from tests.kafka.sending import create, send
from tests.terminal import Terminal
from tests.unit.observe.sent import active, letter, rejected, statistics, waiting

pytestmark = pytest.mark.kafka

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
    letters = [letter(now), letter(now, dataType="beer"), letter(now, dataType="")]
    send(broker.bootstrap_servers, topics.dead_letters, *letters)
    return now


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
    assert (status, err) == (
        0,
        "dead letters without a data type: NO_MODEL 1; `model-serving read` shows them\n",
    )
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
