"""Processes of a keyed job with a fake engine and a fake clock, and the query that gives them batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from model_serving.core.scoring.waiting import NoModelPolicy, WaitingPolicy
from model_serving.settings import ServingSettings
from model_serving.spark import worker
from model_serving.testing import FakeClock, FakeEngine
from tests.jobs import eventually
from tests.unit.sensor_engine import put_sensor_engine
from tests.unit.spark.keyed.fake_spark import FakeQuery
from tests.unit.spark.keyed.processes import Processes


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    made = FakeClock()
    monkeypatch.setattr(worker, "CLOCK", made)
    return made


@pytest.fixture
def engine(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    """See ``put_sensor_engine``."""
    made = put_sensor_engine(monkeypatch, worker, clock)
    monkeypatch.setattr(worker, "_parts", {})
    yield made
    eventually(lambda: made.live == [], lambda: f"not let go of: {made.live}", within_s=30)


@pytest.fixture
def bounded(settings: ServingSettings) -> ServingSettings:
    """The same job as a bounded run."""
    return replace(settings, waiting=WaitingPolicy(NoModelPolicy.BUFFER, limit=3, bounded=True))


@pytest.fixture
def processes(engine: FakeEngine, clock: FakeClock) -> Iterator[Processes]:
    made = Processes(clock)
    yield made
    made.close()


@pytest.fixture
def query() -> FakeQuery:
    return FakeQuery()
