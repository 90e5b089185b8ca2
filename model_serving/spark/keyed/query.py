"""The keyed query: both topics → rows by data type → the state of each data type → Kafka."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from model_serving.core.batches import UNKNOWN_ORIGIN
from model_serving.messaging.sources import SOURCE_HEADER
from model_serving.runtime.variables import variable
from model_serving.spark.config import SparkConfig
from model_serving.spark.kafka_io import read_topic, write_rows
from model_serving.spark.keyed.ending import end_when_served
from model_serving.spark.keyed.packets import PACKET_SCHEMA
from model_serving.spark.keyed.routing import Route, RouteModels, RouteRecords
from model_serving.spark.keyed.rows import NOBODY, ROUTED_SCHEMA
from model_serving.spark.outputs import OFFSET_BITS
from model_serving.spark.started import Started

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["start"]

_ROLE = variable("spark-role")
"""An environment variable of the workers that serve."""

_CANDIDATES = 64
"""How many keys to try for each task of the state operator, to find one that Spark sends to it."""

_ARROW_BYTES = 32 << 20
"""The size at which Spark hands rows to Python, or earlier: some rows are as large as a model."""


def start(session: SparkSession, config: SparkConfig) -> Started:
    """Starts the query.

    Raises:
        ValueError: the key file cannot be read, or has no key in it.
    """
    from model_serving.spark.keyed.processor import KeyedProcessor

    settings = config.serving
    settings.model_keys()
    session.conf.set("spark.sql.execution.arrow.maxBytesPerBatch", _ARROW_BYTES)
    news = _keys_of_tasks(session) if config.bounded else ()
    records = _routed(session, config, config.data_topic, RouteRecords(settings, news))
    models = _routed(session, config, config.models_topic, RouteModels(settings, news))
    with _workers_that_serve(session):
        packets = (
            records.union(models)
            .groupBy("data_type")
            .transformWithStateInPandas(
                KeyedProcessor(settings, config.topic_names), PACKET_SCHEMA, "Append", "ProcessingTime"
            )
        )
    query = write_rows(_spread(packets, config.data_topic), config, "serve").outputMode("append").start()
    if config.bounded:
        end_when_served(session, query)
    return Started(queries=(query,))


def _routed(session: SparkSession, config: SparkConfig, topic: str, route: Route) -> DataFrame:
    messages = read_topic(session, config, topic).select("value", "partition", "offset")
    return messages.mapInArrow(route.rows, ROUTED_SCHEMA)


def _spread(packets: DataFrame, data_topic: str) -> DataFrame:
    """Packets → rows for Kafka, as ``outputs.Rows`` makes them. Python would take ten times as long."""
    from pyspark.sql import functions as f

    origin = f.col("one.origins")
    place = f.concat_ws(
        "/",
        f.lit(data_topic),
        f.shiftright(origin, OFFSET_BITS),
        origin.bitwiseAND(f.lit((1 << OFFSET_BITS) - 1)),
    )
    header = f.struct(f.lit(SOURCE_HEADER).alias("key"), f.encode(place, "UTF-8").alias("value"))
    return packets.select("topic", f.explode(f.arrays_zip("messages", "origins")).alias("one")).select(
        "topic",
        f.lit(None).cast("binary").alias("key"),
        f.col("one.messages").alias("value"),
        # Null, for messages without an origin, has no header.
        f.when(origin != UNKNOWN_ORIGIN, f.array(header)).alias("headers"),
    )


def _keys_of_tasks(session: SparkSession) -> tuple[str, ...]:
    """A key for each task of the state operator, which Spark chooses by the key's hash."""
    tasks = int(session.conf.get("spark.sql.shuffle.partitions") or 1)
    if tasks == 1:
        return (NOBODY,)
    candidates = session.range(_CANDIDATES * tasks).selectExpr(
        "string(id) AS key", f"pmod(hash(string(id)), {tasks}) AS task"
    )
    return tuple({row["task"]: row["key"] for row in candidates.collect()}.values())


@contextmanager
def _workers_that_serve(session: SparkSession) -> Iterator[None]:
    """Functions that are made in this context run in worker processes of their own.

    Spark gives a task any idle worker whose environment is the one that the function was made with. So what
    serves is not spread over the workers that route, where each would load every model.
    """
    environment = session.sparkContext.environment
    environment[_ROLE] = "serve"
    try:
        yield
    finally:
        del environment[_ROLE]
