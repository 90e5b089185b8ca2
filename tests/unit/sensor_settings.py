"""The settings of the jobs that unit tests of hosts run."""

from __future__ import annotations

from model_serving.core.scoring.waiting import NoModelPolicy, WaitingPolicy
from model_serving.settings import ServingSettings

__all__ = ["SENSOR_SETTINGS"]

SENSOR_SETTINGS = ServingSettings(
    record_type="tests.protos.sensorreading_pb2:SensorReading",
    models_topic="models",
    data_topic="mdata",
    waiting=WaitingPolicy(NoModelPolicy.BUFFER, limit=3, bounded=False),
    keep_versions=3,
    base_dir="/nowhere",
    model_size_limit=1_000,
)
"""A job that scores sensor readings and lets three records of a data type wait."""
