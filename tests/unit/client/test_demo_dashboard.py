"""The demo's dashboard: where it is, what it reads, and that the demo goes on without it."""

from __future__ import annotations

import re
import socket
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from model_serving.client.demo import dashboard as under_test
from model_serving.client.demo.dashboard import dashboard, dashboard_command
from model_serving.messaging.topics import TopicNames
from model_serving.query.config import parse_config

TOPICS = TopicNames("m", "d", "r", "l", "s", "t")


def test_it_reads_the_topics_of_the_demo(tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("0123456789abcdef")
    command = dashboard_command("host:1", TOPICS, 5500, token_file)
    assert command[:4] == [sys.executable, "-m", "model_serving.client.cli", "serve"]
    config = parse_config(command[4:], {})
    topics = (config.models_topic, config.dead_letter_topic, config.status_topic, config.stats_topic)
    assert topics == (TOPICS.models, TOPICS.dead_letters, TOPICS.status, TOPICS.stats)
    assert (config.http.host, config.http.port) == ("127.0.0.1", 5500)
    assert config.http.tokens == (b"0123456789abcdef",)


def test_its_page_is_up_while_the_demo_runs(tmp_path: Path) -> None:
    # There is no Kafka: the page is there all the same, and says so.
    with dashboard("127.0.0.1:1", TOPICS, tmp_path) as line:
        found = re.fullmatch(r"the dashboard is at (\S+) \(token for its commands: [0-9a-f]{32}\)", line)
        assert found is not None
        address = found[1]
        with urlopen(address) as answer:
            assert b"<title>Model serving</title>" in answer.read()
    port = int(address.rstrip("/").rpartition(":")[2])
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert (tmp_path / "token").stat().st_mode & 0o077 == 0


def test_the_demo_goes_on_without_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(under_test, "missing_extra", lambda: "install the extra")
    with dashboard("127.0.0.1:1", TOPICS, tmp_path) as line:
        assert line == "there is no dashboard: install the extra"


def test_the_demo_goes_on_when_the_query_server_ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def failing(bootstrap_servers: str, topics: TopicNames, port: int, token_file: Path) -> list[str]:
        return [sys.executable, "-c", "import sys; sys.exit('why it ended')"]

    monkeypatch.setattr(under_test, "dashboard_command", failing)
    with dashboard("127.0.0.1:1", TOPICS, tmp_path) as line:
        assert line == "there is no dashboard: why it ended"
