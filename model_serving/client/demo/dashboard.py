"""The dashboard of the demo: the server host's own, else a query server as a child process.

The demo goes on without it.
"""

from __future__ import annotations

import secrets
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from model_serving.client.demo.job import RunningJob
from model_serving.client.ports import free_port
from model_serving.messaging.topics import TopicNames

__all__ = ["Door", "dashboard_command", "http_flags", "new_door", "where"]

_USUAL_PORT = 5500
_HOST = "127.0.0.1"
_START_DEADLINE_S = 60.0
_LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class Door:
    """Where the dashboard listens, and the token of its commands, which is in a file too."""

    port: int
    token: str = field(repr=False)
    token_file: Path


def new_door(folder: Path) -> Door:
    """Returns a free port, and a new token in a file in ``folder`` that only this user reads."""
    token, token_file = secrets.token_hex(16), folder / "token"
    token_file.touch(mode=0o600)
    token_file.write_text(token, encoding="ascii")
    return Door(free_port(preferred=_USUAL_PORT), token, token_file)


def http_flags(door: Door) -> list[str]:
    """Returns the flags with which the server host serves the dashboard itself."""
    return [
        *("--http-host", _HOST),
        *("--http-port", str(door.port)),
        *("--token-file", str(door.token_file)),
    ]


def dashboard_command(door: Door, bootstrap_servers: str, topics: TopicNames) -> list[str]:
    """Returns the command line of a query server."""
    flags = [
        *("--bootstrap-servers", bootstrap_servers),
        *("--models-topic", topics.models),
        *("--dead-letter-topic", topics.dead_letters),
        *("--status-topic", topics.status),
        *("--stats-topic", topics.stats),
        *("--host", _HOST),
        *("--port", str(door.port)),
        *("--token-file", str(door.token_file)),
    ]
    return [sys.executable, "-m", "model_serving.client.cli", "serve", *flags]


def where(door: Door, host: RunningJob) -> str:
    """Waits until the dashboard answers, and returns a line that says where it is, or why there is none.

    Args:
        door: where it should be.
        host: the process that serves it.
    """
    end = time.monotonic() + _START_DEADLINE_S
    while host.process.exit_status is None and time.monotonic() < end:
        with socket.socket() as probe:
            probe.settimeout(1.0)
            if probe.connect_ex((_HOST, door.port)) == 0:
                return (
                    f"the dashboard is at http://{_HOST}:{door.port}/ (token for its commands: {door.token})"
                )
        time.sleep(_LOOK_S)
    said = host.log.read_text("utf-8", "replace").strip().splitlines()
    return f"there is no dashboard: {said[-1] if said else 'it does not answer'}"
