"""Operators with a fake engine, a fake clock and fake Flink contexts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from functions import process
from model_serving.settings import ServingSettings
from model_serving.testing import FakeClock, FakeEngine
from tests.unit.functions.fake_flink import FakeFlink
from tests.unit.sensor_engine import put_sensor_engine
from tests.unit.sensor_settings import SENSOR_SETTINGS


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    made = FakeClock()
    monkeypatch.setattr(process, "CLOCK", made)
    return made


@pytest.fixture
def engine(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    """See ``put_sensor_engine``."""
    made = put_sensor_engine(monkeypatch, process, clock)
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
