"""Kafka's options for Spark's source and sink, and the streams that are made with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from model_serving.messaging.topics import DEAD_LETTER_BYTES
from model_serving.spark.config import SparkConfig
from model_serving.spark.offsets import starting_offsets

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming import DataStreamWriter

__all__ = ["read_topic", "sink_options", "source_options", "write_nothing", "write_rows"]

_BATCH_BYTES = 256 * 1024
"""The largest size of the results that leave in one request."""

_FETCH_BYTES = 1024 * 1024
"""The most bytes of a partition in one answer of Kafka, which one larger message may exceed."""

_POLL_RECORDS = 5_000
"""The most records that Spark takes from the client at once. With the default of 500, and with answers
of 32 MiB, a batch of 100,000 records took a third longer."""

_FETCH_WAIT_MS = 10
"""How long Kafka waits with an answer that has no records. Spark asks for the ends of a partition after each
read, and Kafka answers that only after the client's next request for records, which by default waits for 500
ms at the end of the partition: each batch with a model, or with the last record of a pause, took so much
longer."""


def read_topic(session: SparkSession, config: SparkConfig, topic: str) -> DataFrame:
    """The messages of a topic: ``key``, ``value``, ``topic``, ``partition``, ``offset``, ``timestamp``.

    Headers are left out, because nothing here reads them. A batch has at most the flag's number of records
    of the data topic, and any number of model messages.
    """
    return session.readStream.format("kafka").options(**source_options(config, topic)).load()


def write_rows(rows: DataFrame, config: SparkConfig, name: str) -> DataStreamWriter:
    """A writer of rows to Kafka, not started: its trigger and its checkpoint are set.

    Args:
        rows: a stream with the columns that Spark's Kafka sink takes: topic, key, value, headers.
        config: the job's configuration.
        name: the query's name, and that of its folder in the checkpoint folder.
    """
    return _writer(rows, config, name).format("kafka").options(**sink_options(config))


def write_nothing(rows: DataFrame, config: SparkConfig, name: str) -> DataStreamWriter:
    """As ``write_rows``, for a stream that has no rows because its tasks write to Kafka themselves."""
    return _writer(rows, config, name).format("noop")


def _writer(rows: DataFrame, config: SparkConfig, name: str) -> DataStreamWriter:
    writer = rows.writeStream.queryName(name).option("checkpointLocation", config.location(name))
    if config.bounded:
        return writer.trigger(availableNow=True)
    return writer.trigger(processingTime=f"{config.trigger_interval_ms} milliseconds")


def source_options(config: SparkConfig, topic: str) -> dict[str, str]:
    """The options of Spark's Kafka source. They hold the secrets of ``--kafka-config``.

    Raises:
        MessagingError: Kafka does not say what is committed, where this decides where to start.
    """
    is_data = topic == config.data_topic
    options = {
        **_client(config),
        "subscribe": topic,
        "startingOffsets": starting_offsets(config, topic),
        "groupIdPrefix": config.data_group if is_data else config.models_group,
        # As the other hosts: what Kafka has deleted by its retention cannot be read, and is not a failure.
        "failOnDataLoss": "false",
        # Messages of an aborted transaction were taken back by their producer, so they are not read.
        "kafka.isolation.level": "read_committed",
        "kafka.max.partition.fetch.bytes": str(_FETCH_BYTES),
        "kafka.max.poll.records": str(_POLL_RECORDS),
        "kafka.fetch.max.wait.ms": str(_FETCH_WAIT_MS),
    }
    if is_data:
        options["maxOffsetsPerTrigger"] = str(config.max_records_per_trigger)
    return options


def sink_options(config: SparkConfig) -> dict[str, str]:
    """The options of Spark's Kafka sink. They hold the secrets of ``--kafka-config``."""
    return {
        **_client(config),
        "kafka.max.request.size": str(DEAD_LETTER_BYTES),
        "kafka.buffer.memory": str(2 * DEAD_LETTER_BYTES),
        "kafka.linger.ms": "1",
        "kafka.batch.size": str(_BATCH_BYTES),
    }


def _client(config: SparkConfig) -> Mapping[str, str]:
    # Spark's connector has Kafka's classes under their own names, so the properties stay as they are.
    own = {f"kafka.{name}": value for name, value in config.kafka.properties.items()}
    return own | {"kafka.bootstrap.servers": config.bootstrap_servers}
