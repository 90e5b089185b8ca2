"""Kafka sources and sinks of the jobs; the only module that knows topics, groups and offsets."""

from __future__ import annotations

from collections.abc import Mapping

from pyflink.common import WatermarkStrategy
from pyflink.common.serialization import ByteArraySchema
from pyflink.datastream import DataStream, StreamExecutionEnvironment
from pyflink.datastream.connectors.base import DeliveryGuarantee
from pyflink.datastream.connectors.kafka import (
    KafkaOffsetResetStrategy,
    KafkaOffsetsInitializer,
    KafkaRecordSerializationSchema,
    KafkaSink,
    KafkaSource,
)
from pyflink.table import StreamTableEnvironment

from flink_jobs.checkpoint_failures import TRANSACTION_TIMEOUT_MS
from flink_jobs.config import Delivery, JobConfig, StartingOffsets
from flink_jobs.lanes import lane_key
from model_serving.messaging.topics import DEAD_LETTER_BYTES, MAX_MESSAGE_BYTES

__all__ = ["model_messages", "models_properties", "record_vectors", "write_to"]

_VECTOR_MS = 3
"""How long records are gathered into a vector, in milliseconds. This adds half of that time to the latency.
At full load, one trip from the JVM to Python then carries hundreds of records instead of one; the number of
trips limits the throughput."""

_VECTOR_OFFSETS = 1024
"""The largest number of records in a vector of a bounded run, which holds records of one partition."""

_COMMITTED_ONLY = {"isolation.level": "read_committed"}
"""Messages of an aborted transaction were taken back by their producer, so they are not read."""

_BATCH_BYTES = 256 * 1024
"""The largest size of the results that leave in one request."""


def model_messages(env: StreamExecutionEnvironment, config: JobConfig) -> DataStream:
    """The messages of the models topic as bytes; one reader keeps them in the order of the topic."""
    builder = (
        KafkaSource.builder()
        .set_bootstrap_servers(config.bootstrap_servers)
        .set_topics(config.models_topic)
        .set_group_id(config.models_group)
        .set_starting_offsets(_starting_offsets(config.starting_offsets))
        .set_value_only_deserializer(ByteArraySchema())
    )
    for key, value in models_properties(config).items():
        builder = builder.set_property(key, value)
    if config.bounded:
        builder = builder.set_bounded(KafkaOffsetsInitializer.latest())
    return (
        env.from_source(builder.build(), WatermarkStrategy.no_watermarks(), "models")
        .set_parallelism(1)
        .name("models")
        .uid("models")
    )


def models_properties(config: JobConfig) -> dict[str, str]:
    """The properties of the consumer of the models topic, by Kafka's names.

    The ones that let records gather before they are fetched are Kafka's defaults here, whatever
    ``--kafka-config`` says: a model comes alone, and while none comes Kafka is asked twice a second.
    """
    own = {
        "max.partition.fetch.bytes": str(MAX_MESSAGE_BYTES),
        # The operating system's default, which grows: with Kafka's 64 KiB a large model is hundreds of reads.
        "receive.buffer.bytes": "-1",
        "partition.discovery.interval.ms": str(config.partition_discovery_interval_ms),
    }
    at_once = {"fetch.min.bytes": "1", "fetch.max.wait.ms": "500"}
    return own | config.kafka.flink | _COMMITTED_ONLY | at_once


def record_vectors(tables: StreamTableEnvironment, config: JobConfig) -> DataStream:
    """The data topic as vectors: rows of one array with the values of some records, in partition order.

    Records are gathered in the JVM. An unbounded run gathers them in windows of processing time. Flink drops
    such a window when its input ends, so a bounded run gathers them in windows of event time and takes the
    offset as the time. The offset only grows within a partition and the watermark is that of the slowest
    partition, so no record is late, and the end of the input closes every window.
    """
    if config.bounded:
        time_columns = (
            "`offset` BIGINT METADATA VIRTUAL, "
            "came AS TO_TIMESTAMP_LTZ(`offset`, 3), WATERMARK FOR came AS came"
        )
        size = _VECTOR_OFFSETS
    else:
        time_columns = "came AS PROCTIME()"
        size = _VECTOR_MS
    tables.execute_sql(
        "CREATE TEMPORARY TABLE records (payload BYTES, `partition` INT METADATA VIRTUAL, "
        f"lane AS {lane_key('`partition`')}, {time_columns}) "
        f"WITH ({_sql_options(_record_options(config))})"
    )
    vectors = tables.sql_query(
        "SELECT ARRAY_AGG(payload) AS payloads "  # noqa: S608 - size is a number of this module
        f"FROM TABLE(TUMBLE(TABLE records, DESCRIPTOR(came), INTERVAL '{size / 1000:.3f}' SECOND)) "
        "GROUP BY window_start, window_end, lane"
    )
    return tables.to_data_stream(vectors)


def write_to(stream: DataStream, topic: str, name: str, config: JobConfig) -> None:
    """Writes messages to a topic, with the delivery guarantee that the job's flags ask for."""
    schema = (
        KafkaRecordSerializationSchema.builder()
        .set_topic(topic)
        .set_value_serialization_schema(ByteArraySchema())
        .build()
    )
    builder = (
        KafkaSink.builder()
        .set_bootstrap_servers(config.bootstrap_servers)
        .set_record_serializer(schema)
        .set_property("max.request.size", str(DEAD_LETTER_BYTES))
        .set_property("buffer.memory", str(2 * DEAD_LETTER_BYTES))
        # A result waits at most this long for others, so that many leave in one request. This saves half of
        # the time of the producer's network thread at full load.
        .set_property("linger.ms", "1")
        .set_property("batch.size", str(_BATCH_BYTES))
    )
    for key, value in config.kafka.flink.items():
        builder = builder.set_property(key, value)
    if config.delivery is Delivery.EXACTLY_ONCE:
        builder = (
            builder.set_delivery_guarantee(DeliveryGuarantee.EXACTLY_ONCE)
            # Two jobs with the same prefix would fence each other's transactions.
            .set_transactional_id_prefix(f"model-serving-{config.data_group}-{config.data_topic}-{topic}")
            .set_property("transaction.timeout.ms", str(TRANSACTION_TIMEOUT_MS))
        )
    else:
        builder = builder.set_delivery_guarantee(DeliveryGuarantee.AT_LEAST_ONCE)
    stream.sink_to(builder.build()).name(name).uid(name)


def _starting_offsets(start: StartingOffsets) -> KafkaOffsetsInitializer:
    if start is StartingOffsets.EARLIEST:
        return KafkaOffsetsInitializer.earliest()
    if start is StartingOffsets.LATEST:
        return KafkaOffsetsInitializer.latest()
    return KafkaOffsetsInitializer.committed_offsets(KafkaOffsetResetStrategy.EARLIEST)


def _record_options(config: JobConfig) -> dict[str, str]:
    modes = {
        StartingOffsets.COMMITTED: "group-offsets",
        StartingOffsets.EARLIEST: "earliest-offset",
        StartingOffsets.LATEST: "latest-offset",
    }
    options = {
        "connector": "kafka",
        "topic": config.data_topic,
        "properties.bootstrap.servers": config.bootstrap_servers,
        "properties.group.id": config.data_group,
        "properties.auto.offset.reset": "earliest",
        "scan.topic-partition-discovery.interval": f"{config.partition_discovery_interval_ms} ms",
        "scan.startup.mode": modes[config.starting_offsets],
        "value.format": "raw",
    } | {f"properties.{name}": value for name, value in (config.kafka.flink | _COMMITTED_ONLY).items()}
    if config.bounded:
        options["scan.bounded.mode"] = "latest-offset"
    return options


def _sql_options(options: Mapping[str, str]) -> str:
    def quoted(text: str) -> str:
        return "'" + text.replace("'", "''") + "'"

    return ", ".join(f"{quoted(key)} = {quoted(value)}" for key, value in options.items())
