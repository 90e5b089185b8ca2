"""Starts the broadcast variant: the models loop on the driver, and one query for the records."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from threading import Event
from typing import TYPE_CHECKING
from uuid import uuid4

from model_serving.spark import worker
from model_serving.spark.broadcast.driver import Driver
from model_serving.spark.broadcast.task import ScoreRecords
from model_serving.spark.config import SparkConfig
from model_serving.spark.kafka_io import read_topic, write_rows
from model_serving.spark.outputs import OUTPUT_SCHEMA
from model_serving.spark.started import Started

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.streaming import StreamingQuery

__all__ = ["start"]
