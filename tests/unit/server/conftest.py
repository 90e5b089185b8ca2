"""A mirror and the log that it follows; Kafka clients of a member in memory; a serving loop."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from model_serving.server import delivery, exactly_once, transactions
from model_serving.server.mirror import Mirror
from tests.unit.server.clients import Clients, Seconds
from tests.unit.server.loops import WINE_SCRIPT, Loop
from tests.unit.server.states import StateLog


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    made = Mirror()
    yield made
    made.close()


@pytest.fixture
def log(mirror: Mirror) -> StateLog:
    return StateLog(mirror)


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clients]:
    made = Clients(monkeypatch)
    yield made
    made.threads.kill()


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> Seconds:
    made = Seconds()
    for module in (delivery, exactly_once, transactions):
        monkeypatch.setattr(module, "time", made)
    return made


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loop]:
    made = Loop(monkeypatch)
    for content in (b"one", b"two"):
        made.engine.scripts[content] = WINE_SCRIPT
    yield made
    made.close()
