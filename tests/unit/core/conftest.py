"""The core's objects with one fake clock and one fake engine; models that a test leaves loaded are closed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from model_serving.core.admission.admission import Admission
from model_serving.core.pool import ModelPool
from model_serving.core.scoring.server import Server
from model_serving.testing import POINT, FakeClock, FakeEngine, FakeLocations, read_point
from tests.unit.core.carrying_out import OneDataType


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def engine(clock: FakeClock) -> FakeEngine:
    return FakeEngine(clock)


@pytest.fixture
def pool(engine: FakeEngine) -> ModelPool:
    return ModelPool(engine)


@pytest.fixture
def kept() -> OneDataType:
    return OneDataType()


@pytest.fixture
def locations() -> FakeLocations:
    return FakeLocations()


@pytest.fixture
def admission(pool: ModelPool, locations: FakeLocations, clock: FakeClock) -> Iterator[Admission]:
    """An admission that keeps three versions."""
    made = Admission(pool, POINT, locations, read_point, keep_versions=3, clock=clock)
    yield made
    made.close()


@pytest.fixture
def server(pool: ModelPool, clock: FakeClock) -> Iterator[Server]:
    """A server of points from the topic ``mdata``."""
    made = Server(pool, POINT, "mdata", clock)
    yield made
    made.close()
