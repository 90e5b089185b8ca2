"""What a server says of itself over HTTP."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from model_serving.messaging.errors import MessagingError
from model_serving.server import health as module
from model_serving.server.health import Health, serve_health


def answer(port: int, path: str) -> tuple[int, str]:
    try:
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as response:
            return response.status, response.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


@pytest.fixture
def served() -> Iterator[tuple[Health, int]]:
    health = Health()
    server = serve_health(health, 0)
    yield health, server.server_address[1]
    server.shutdown()
    server.server_close()


def test_a_server_that_has_joined_is_ready(served: tuple[Health, int]) -> None:
    health, port = served
    assert answer(port, "/healthz") == (200, "ok\n")
    assert answer(port, "/readyz") == (503, "it does not serve yet\n")
    health.tick(reads=True)
    assert answer(port, "/readyz") == (200, "ok\n")
    assert answer(port, "/other") == (404, "not found\n")


def test_a_loop_that_is_stuck_is_not_healthy(
    served: tuple[Health, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    health, port = served
    health.tick(reads=True)
    monkeypatch.setattr(module, "_STUCK_S", -1.0)
    for path in ("/healthz", "/readyz"):
        assert answer(port, path) == (503, "the serving loop has not come round for 0 s\n")


def test_a_port_that_is_taken_is_refused_in_one_line() -> None:
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            MessagingError, match=rf"^--http-port {port} cannot be used \(.*\): choose another"
        ):
            serve_health(Health(), port)
