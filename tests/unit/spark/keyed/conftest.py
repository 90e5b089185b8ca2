"""Processes of a keyed job with a fake engine and a fake clock, and the query that gives them batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from model_serving.core.admission import queue
from model_serving.core.pool import ModelPool
from model_serving.core.scoring.waiting import NoModelPolicy, WaitingPolicy
from model_serving.engines.content import KindCheckedEngine
from model_serving.settings import ServingSettings
from model_serving.spark import worker
from model_serving.testing import FakeClock, FakeEngine, Script
from tests.jobs import eventually
from tests.unit.spark.keyed.fake_spark import FakeQuery
from tests.unit.spark.keyed.processes import Processes


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    made = FakeClock()
    monkeypatch.setattr(worker, "CLOCK", made)
    return made


@pytest.fixture
def engine(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    """Models of sensor readings: ``v1`` gives the temperature, ``v2`` adds 100 to it."""
    takes = ("people", "temperature")
    made = FakeEngine(
        clock,
        {
            b"v1": Script(fields=takes, x="temperature"),
            b"v2": Script(fields=takes, x="temperature", offset=100),
            b"broken": Script(load_error="not a model"),
        },
    )
    monkeypatch.setattr(worker, "POOL", ModelPool(made))
    monkeypatch.setattr(worker, "ENGINES", made)
    # The contents here are names of scripts, which do not look like any model.
    monkeypatch.setattr(
        KindCheckedEngine, "load", lambda self, model, schema: self._engine.load(model, schema)
    )
    # A load that runs alone is waited for, even on a busy machine.
    monkeypatch.setattr(queue, "_QUICK_S", 60)
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
