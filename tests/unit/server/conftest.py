"""A mirror and the log that it follows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from model_serving.server.mirror import Mirror
from tests.unit.server.states import StateLog


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    made = Mirror()
    yield made
    made.close()


@pytest.fixture
def log(mirror: Mirror) -> StateLog:
    return StateLog(mirror)
