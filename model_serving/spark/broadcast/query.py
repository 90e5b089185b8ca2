"""Starts the broadcast variant: the models loop on the driver, and one query for the records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model_serving.spark.broadcast.driver import Driver
from model_serving.spark.broadcast.task import NO_ROWS, ScoreRecords
from model_serving.spark.config import SparkConfig
from model_serving.spark.kafka_io import read_topic, write_nothing
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
    try:
        query = _query(session, config, driver)
    except BaseException:
        driver.end()
        raise
    finishing = driver.finish if config.bounded else driver.check
    return Started(queries=(query,), check=driver.check, finishing=finishing, closing=driver.end)


def _query(session: SparkSession, config: SparkConfig, driver: Driver) -> StreamingQuery:
    records = read_topic(session, config, config.data_topic).select("value", "partition", "offset")
    score = ScoreRecords(driver.settings, config.topic_names, driver.folder, config.kafka)
    writer = write_nothing(records.mapInArrow(score, NO_ROWS), config, _NAME)
    if not config.bounded:
        # Offsets are written beside the next batches; Spark has this for unbounded runs only. Those of every
        # batch, so that a job which is stopped scores nothing again when it goes on.
        writer = writer.option("asyncProgressTrackingEnabled", "true").option(
            "asyncProgressTrackingCheckpointIntervalMs", "0"
        )
    return writer.start()
