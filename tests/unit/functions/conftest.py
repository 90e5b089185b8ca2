"""Operators with a fake engine, a fake clock and fake Flink contexts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from functions import process
from model_serving.core.admission import queue
from model_serving.core.pool import ModelPool
from model_serving.engines.content import KindCheckedEngine
from model_serving.settings import ServingSettings
from model_serving.testing import FakeClock, FakeEngine, Script
from tests.unit.functions.fake_flink import FakeFlink
from tests.unit.sensor_settings import SENSOR_SETTINGS


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    made = FakeClock()
    monkeypatch.setattr(process, "CLOCK", made)
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
            b"fails on 13": Script(fields=takes, x="temperature", poison=13.0),
            b"broken": Script(load_error="not a model"),
        },
    )
    monkeypatch.setattr(process, "POOL", ModelPool(made))
    monkeypatch.setattr(process, "ENGINES", made)
    # The contents here are names of scripts, which do not look like any model.
    monkeypatch.setattr(
        KindCheckedEngine, "load", lambda self, model, schema: self._engine.load(model, schema)
    )
    # A load that runs alone is waited for, even on a busy machine.
    monkeypatch.setattr(queue, "_QUICK_S", 60)
    yield made
    assert made.live == [], "an operator's close must let go of every model"


@pytest.fixture
def flink() -> FakeFlink:
    """The second of twelve instances, which has the data types "hall" and "lab"."""
    return FakeFlink(subtask=1, parallelism=12)


@pytest.fixture
def settings() -> ServingSettings:
    """A job that scores sensor readings and lets three records of a data type wait."""
    return SENSOR_SETTINGS
