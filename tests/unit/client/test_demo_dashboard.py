"""The demo's dashboard: where it is, what it reads, and that the demo goes on without it."""

from __future__ import annotations

import socket
import sys
from contextlib import ExitStack
from pathlib import Path
from urllib.request import urlopen

import pytest

from model_serving.client.demo import __main__ as demo
from model_serving.client.demo.dashboard import Door, dashboard_command, http_flags, new_door, where
from model_serving.client.demo.job import SERVER, job_command, run_job
from model_serving.messaging.topics import TopicNames
from model_serving.query.config import parse_config
from model_serving.server.config import parse_config as parse_server

TOPICS = TopicNames("m", "d", "r", "l", "s", "t")


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return new_door(tmp_path)


def test_the_token_is_for_this_user_only(door: Door) -> None:
    assert door.token_file.read_text() == door.token
    assert door.token_file.stat().st_mode & 0o077 == 0
    assert door.token not in repr(door)


def test_a_query_server_reads_the_topics_of_the_demo(door: Door) -> None:
    command = dashboard_command(door, "host:1", TOPICS)
    assert command[:4] == [sys.executable, "-m", "model_serving.client.cli", "serve"]
    config = parse_config(command[4:], {})
    topics = (config.models_topic, config.dead_letter_topic, config.status_topic, config.stats_topic)
    assert topics == (TOPICS.models, TOPICS.dead_letters, TOPICS.status, TOPICS.stats)
    assert (config.http.host, config.http.port) == ("127.0.0.1", door.port)
    assert config.http.tokens == (door.token.encode(),)


def test_the_server_host_serves_it_itself(door: Door, tmp_path: Path) -> None:
    command = [*job_command(SERVER, "host:1", TOPICS, tmp_path), *http_flags(door)]
    http = parse_server(command[4:], {}).http
    assert http is not None
    assert (http.host, http.port, http.tokens) == ("127.0.0.1", door.port, (door.token.encode(),))


def test_its_page_is_up_while_the_demo_runs(door: Door, tmp_path: Path) -> None:
    # There is no Kafka: the page is there all the same, and says so.
    with run_job(dashboard_command(door, "127.0.0.1:1", TOPICS), tmp_path / "log") as host:
        address = f"http://127.0.0.1:{door.port}/"
        assert where(door, host) == f"the dashboard is at {address} (token for its commands: {door.token})"
        with urlopen(address) as answer:
            assert b"<title>Model serving</title>" in answer.read()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", door.port)) != 0


@pytest.mark.parametrize(("said", "shown"), [("why it ended", "why it ended"), ("", "it does not answer")])
def test_the_demo_goes_on_when_it_ends(door: Door, tmp_path: Path, said: str, shown: str) -> None:
    command = [sys.executable, "-c", f"import sys; sys.stderr.write({said!r}); sys.exit(1)"]
    with run_job(command, tmp_path / "log") as host:
        assert where(door, host) == f"there is no dashboard: {shown}"


def test_the_demo_goes_on_without_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(demo, "missing_extra", lambda: "install the extra")
    monkeypatch.setattr(demo, "job_command", lambda job, bootstrap_servers, topics, checkpoints: ["true"])
    with ExitStack() as running:
        _, line = demo._start(SERVER, "127.0.0.1:1", TOPICS, tmp_path, running)
        assert line == "there is no dashboard: install the extra"
