"""Settings of a Spark host in unit tests, which run without Spark."""

from __future__ import annotations

from dataclasses import replace

import pytest

from model_serving.settings import ServingSettings
from tests.unit.sensor_settings import SENSOR_SETTINGS


@pytest.fixture
def settings() -> ServingSettings:
    """A job that scores sensor readings and lets three records of a data type wait."""
    return replace(SENSOR_SETTINGS, host="spark-keyed")
