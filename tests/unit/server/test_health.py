"""What a server says of itself over HTTP."""

from __future__ import annotations

import pytest

from model_serving.server import health as module
from model_serving.server.health import Health
from tests.unit.query.stand_in import KnownHere, Served


def answers(health: Health) -> list[tuple[int, str]]:
    client = Served(KnownHere(), health=health).client
    return [(answer.status_code, answer.text) for answer in map(client.get, ("/healthz", "/readyz"))]


def test_a_server_that_has_joined_is_ready() -> None:
    health = Health()
    assert answers(health) == [(200, "ok\n"), (503, "it does not serve yet\n")]
    health.tick(reads=True)
    assert answers(health) == [(200, "ok\n"), (200, "ok\n")]
    assert health.problem("/other") is None


def test_a_loop_that_is_stuck_is_not_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    health = Health()
    health.tick(reads=True)
    monkeypatch.setattr(module, "_STUCK_S", -1.0)
    stuck = (503, "the serving loop has not come round for 0 s\n")
    assert answers(health) == [stuck, stuck]
