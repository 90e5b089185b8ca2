"""Starts the broadcast variant: the models loop on the driver, and one query for the records."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

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

_NAME = "records"


def start(session: SparkSession, config: SparkConfig) -> Started:
    """Starts the job.

    Raises:
        MessagingError: Kafka refuses.
        StoreFailed: the checkpoint folder cannot be used.
    """
    driver = Driver(config)
    driver.begin()
    records = read_topic(session, config, config.data_topic).select("value", "partition", "offset")
    score = ScoreRecords(driver.settings, config.topic_names, driver.folder)
    writer = write_rows(records.mapInArrow(score, OUTPUT_SCHEMA), config, _NAME)
    if not config.bounded:
        # Offsets are written beside the next batches; Spark has this for unbounded runs only. Those of every
        # batch, so that a job which is stopped scores nothing again when it goes on.
        writer = writer.option("asyncProgressTrackingEnabled", "true").option(
            "asyncProgressTrackingCheckpointIntervalMs", "0"
        )
    query = writer.start()

    def close() -> None:
        driver.end(input_ended=_has_read_all(query))

    return Started(queries=(query,), check=driver.check, closing=close)


def _has_read_all(query: StreamingQuery) -> bool:
    """Whether a query that has ended had read everything that was there."""
    progress = query.lastProgress
    if query.exception() is not None or progress is None:
        return False
    return all(json.loads(one["endOffset"]) == json.loads(one["latestOffset"]) for one in progress["sources"])
