"""The dashboard of the demo: a query server as a child process. The demo goes on without it."""

from __future__ import annotations

import secrets
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model_serving.client.demo.job import run_job
from model_serving.client.ports import free_port
from model_serving.messaging.topics import TopicNames
from model_serving.query.run import missing_extra
from model_serving.runtime.guard import Guarded

__all__ = ["dashboard", "dashboard_command"]

_USUAL_PORT = 5500
_HOST = "127.0.0.1"
_START_DEADLINE_S = 60.0
_LOOK_S = 0.1


@contextmanager
def dashboard(bootstrap_servers: str, topics: TopicNames, folder: Path) -> Iterator[str]:
    """Serves the dashboard while the context is open.

    Args:
        bootstrap_servers: a running Kafka.
        topics: the topics of the demo.
        folder: takes the token and the log.

    Yields:
        A line for the user: where the dashboard is, or why there is none.
    """
    if (missing := missing_extra()) is not None:
        yield f"there is no dashboard: {missing}"
        return
    token, token_file, log = secrets.token_hex(16), folder / "token", folder / "dashboard.log"
    token_file.touch(mode=0o600)
    token_file.write_text(token, encoding="ascii")
    port = free_port(preferred=_USUAL_PORT)
    with run_job(dashboard_command(bootstrap_servers, topics, port, token_file), log) as running:
        if _answers(running.process, port):
            yield f"the dashboard is at http://{_HOST}:{port}/ (token for its commands: {token})"
        else:
            lines = log.read_text("utf-8", "replace").strip().splitlines() or ["it does not answer"]
            yield f"there is no dashboard: {lines[-1]}"


def dashboard_command(bootstrap_servers: str, topics: TopicNames, port: int, token_file: Path) -> list[str]:
    """Returns the command line of the query server."""
    flags = [
        *("--bootstrap-servers", bootstrap_servers),
        *("--models-topic", topics.models),
        *("--dead-letter-topic", topics.dead_letters),
        *("--status-topic", topics.status),
        *("--stats-topic", topics.stats),
        *("--host", _HOST),
        *("--port", str(port)),
        *("--token-file", str(token_file)),
    ]
    return [sys.executable, "-m", "model_serving.client.cli", "serve", *flags]


def _answers(process: Guarded, port: int) -> bool:
    """Waits until the port is open; False if the process ends before, or takes too long."""
    end = time.monotonic() + _START_DEADLINE_S
    while process.exit_status is None and time.monotonic() < end:
        with socket.socket() as probe:
            probe.settimeout(1.0)
            if probe.connect_ex((_HOST, port)) == 0:
                return True
        time.sleep(_LOOK_S)
    return False
