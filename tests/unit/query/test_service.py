"""What a query server consists of: its flags, its port, its health, and what it is told by the board."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from model_serving.core.statistics.fields import FieldStatistics, Reference
from model_serving.messaging.errors import MessagingError
from model_serving.messaging.receiving import Received
from model_serving.observe.board import Board, Topic
from model_serving.observe.reading import Health, fold
from model_serving.query.config import parse_config
from model_serving.query.known import BoardKnown
from model_serving.query.ports import Change, Happening
from model_serving.query.run import topics_of
from model_serving.query.service import BoardHealth
from model_serving.query.web_server import WebServer
from model_serving.server.config import parse_config as parse_server_config
from tests.unit.observe.sent import active, letter, rejected, removed, statistics
from tests.unit.query.stand_in import TOKEN


def test_defaults_are_those_of_the_contract() -> None:
    config = parse_config([], {})
    assert (config.http.host, config.http.port, config.http.tokens) == ("127.0.0.1", 5500, ())
    assert (config.status_topic, config.stats_topic, config.dead_letter_topic) == (
        "model-status",
        "model-stats",
        "dead-letters",
    )


def test_results_are_not_read() -> None:
    """There may be fifty thousand a second: what is known of them comes from the statistics."""
    config = parse_config([], {})
    read = topics_of(config.status_topic, config.stats_topic, config.dead_letter_topic)
    assert set(read) == {"model-status", "model-stats", "dead-letters"}
    with pytest.raises(SystemExit):
        parse_config(["--results-topic", "results"], {})


def test_a_token_file_is_read_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(TOKEN)
    for environ in ({}, {"MODEL_SERVING_TOKEN_FILE": str(tmp_path / "tokens")}):
        argv = [] if environ else ["--token-file", str(tmp_path / "tokens")]
        assert parse_config(argv, environ).http.tokens == (TOKEN.encode(),)
        config = parse_server_config([*argv, "--http-port", "1"], environ)
        assert config.http.tokens == (TOKEN.encode(),)
        assert TOKEN not in repr(config)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--port", "70000"], "--port: '70000' is not a port"),
        (["--port", "x"], "--port"),
        (["--token-file", "/nothing"], "--token-file: '/nothing' cannot be read"),
        (["--allow-origins", "a,,b"], "--allow-origins: 'a,,b' has an empty name"),
        (["--upload-limit", str(1 << 40)], "--upload-limit: a message holds at most"),
    ],
)
def test_a_wrong_flag_is_one_line(argv: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_config(argv, {})
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"model-serving serve: {said}")


def test_what_kubernetes_says_about_a_service_of_this_name_is_not_a_port() -> None:
    assert parse_config([], {"MODEL_SERVING_PORT": "tcp://10.0.0.1:80"}).http.port == 5500


def test_a_port_that_is_taken_is_refused_in_one_line() -> None:
    async def app(*_: Any) -> None: ...

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            MessagingError, match=rf"^--http-port {port} at 127.0.0.1 cannot be used \(.*\): choose another$"
        ):
            WebServer(app, "127.0.0.1", port, flag="--http-port")
    with pytest.raises(MessagingError, match=r"--port 1 at no\.such\.host\.invalid cannot be used"):
        WebServer(app, "no.such.host.invalid", 1, flag="--port")


class Feeder:
    """As much of ``observe.reading.BoardFeeder`` as its health needs."""

    def __init__(self, health: Health, failure: BaseException | None = None) -> None:
        self.health = health
        self.failure = failure


@pytest.mark.parametrize(
    ("health", "said"),
    [
        (Health(True, True, 0.1, (), None), ""),
        (Health(False, False, None, (), None), "Kafka has not answered yet"),
        (Health(False, False, 0.1, (), None), "the topics are not read to their end yet"),
        (Health(False, True, 42.4, (), None), "Kafka has not answered for 42 s"),
        (Health(False, True, 0.1, (), "'model-status' cannot be read"), "'model-status' cannot be read"),
    ],
)
def test_it_is_ready_when_the_board_is_current(health: Health, said: str) -> None:
    board_health = BoardHealth(Feeder(health))  # type: ignore[arg-type]
    assert board_health.problem("/readyz") == said
    assert board_health.problem("/healthz") == ""
    assert board_health.problem("/other") is None


def test_it_is_not_healthy_when_the_topics_are_not_read_any_more() -> None:
    board_health = BoardHealth(Feeder(Health(False, True, 1.0, (), None), OSError("gone")))  # type: ignore[arg-type]
    for path in ("/healthz", "/readyz"):
        assert board_health.problem(path) == "the topics are not read any more (gone): start again"


def test_whoever_listens_is_told_once_what_is_new() -> None:
    board = Board(lambda: 0)
    known = BoardKnown(board)
    messages = [
        (Topic.STATUS, active(10, "v1").SerializeToString()),
        (Topic.STATISTICS, statistics(20, [1.0])),
        (Topic.STATISTICS, statistics(21, [1.0, 2.0])),
        (Topic.DEAD_LETTERS, letter(30, payload=b"x" * 10_000).SerializeToString()),
    ]
    news = [
        fold(board, topic, Received(topic, 0, offset, 0, payload))
        for offset, (topic, payload) in enumerate(messages)
    ]
    told: list[Change] = []
    forget = known.listen(told.extend)
    known.hear([one for one in news if one is not None])
    assert told[:2] == [Change(Happening.STATUS, "wine"), Change(Happening.STATISTICS, "wine")]
    (dead,) = told[2:]
    assert dead.letter is not None
    document = json.loads(dead.letter())
    assert (document["size"], len(document["payload"])) == (10_000, 344)
    forget()
    known.hear([one for one in news if one is not None])
    assert len(told) == 3


def test_what_is_known_of_a_data_type_has_its_letters_and_rollbacks() -> None:
    board = Board(lambda: 0)
    for offset, status in enumerate(
        [active(1, "v1"), active(2, "v2", "v1"), active(3, "v1", "v2", detail="rolled back: no good")]
    ):
        fold(board, Topic.STATUS, Received("s", 0, offset, 0, status.SerializeToString()))
    for offset, data_type in enumerate(["wine", "wine", ""]):
        payload = letter(1, dataType=data_type).SerializeToString()
        fold(board, Topic.DEAD_LETTERS, Received("d", 0, offset, 0, payload))
    known = BoardKnown(board)
    assert known.rollbacks() == {"wine": 1}
    assert known.dead_letter_counts() == {("", "NO_MODEL"): 1, ("wine", "NO_MODEL"): 2}
    (one,) = [figures for figures in known.figures() if figures.serves]
    assert (one.version, one.scored) == ("v1", 0)
    assert [known.versions("other"), known.series("other"), known.data_type("other")] == [None] * 3


def test_what_nobody_changes_is_told_again_from_what_was_encoded() -> None:
    board = Board(lambda: 0)
    known = BoardKnown(board)

    def put(topic: Topic, offset: int, payload: bytes) -> None:
        fold(board, topic, Received(topic, 0, offset, 0, payload))

    for offset, name in enumerate(("beer", "wine")):
        put(Topic.STATUS, offset, active(1, "v1", dataType=name).SerializeToString())
        put(Topic.STATISTICS, offset, statistics(5, [1.0, 2.0], data_type=name))
    before = {name: (known.data_type(name), known.versions(name)) for name in known.names()}
    assert known.data_type("wine") is before["wine"][0]
    put(Topic.STATISTICS, 2, statistics(6, [1.0, 2.0, 3.0], data_type="wine"))
    assert known.data_type("beer") is before["beer"][0]
    (beer,), (wine,) = known.versions("beer") or [], known.versions("wine") or []
    assert [beer] == before["beer"][1]
    assert (json.loads(known.data_type("wine") or b"")["scored"], json.loads(wine)["scored"]) == (3, 3)


def test_the_data_types_that_are_served_are_told_anew_after_each_status() -> None:
    board = Board(lambda: 0)
    known = BoardKnown(board)
    for offset, (status, serving) in enumerate(
        [
            (active(1, "v1", dataType="wine"), ["wine"]),
            (rejected(2, "v1", dataType="ale"), ["wine"]),
            (active(3, "v1", dataType="beer"), ["beer", "wine"]),
            (removed(4, dataType="wine"), ["beer"]),
        ]
    ):
        fold(board, Topic.STATUS, Received("s", 0, offset, 0, status.SerializeToString()))
        assert known.serving_names() == serving
    assert known.names() == ["ale", "beer", "wine"]


def test_drift_is_computed_anew_at_most_twice_a_minute() -> None:
    now_ms = 1_000_000
    board = Board(lambda: now_ms)
    fold(board, Topic.STATUS, Received("s", 0, 0, 0, active(1, "v1").SerializeToString()))

    def drifted(offset: int, bins: tuple[int, int]) -> int | None:
        reference = Reference("examples", 1_000, 0, 1.0, (500, 500))
        fields = [FieldStatistics("pH", sum(bins), 0, 1.0, (3.0,), bins, reference)]
        payload = statistics(now_ms + offset, [1.0], fields=fields)
        fold(board, Topic.STATISTICS, Received("t", 0, offset, 0, payload))
        (one,) = board.figures("wine")
        return one.drifted

    assert drifted(0, (500, 500)) == 0
    assert drifted(1, (500, 9_500)) == 0
    now_ms += 30_000
    assert drifted(2, (500, 19_500)) == 1
