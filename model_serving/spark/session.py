"""The Spark session of a job: the settings that it cannot do without."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model_serving.spark.config import SparkConfig

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["open_session", "session_settings"]

_DEFAULT_MASTERS = {"", "local[*]"}
"""What ``spark.master`` is where the user has named none; the second is spark-submit's own default."""


def open_session(config: SparkConfig) -> SparkSession:
    """Starts Spark, or joins the JVM that spark-submit has started. Takes some seconds."""
    from pyspark import SparkConf
    from pyspark.sql import SparkSession

    given = SparkConf()
    builder = SparkSession.builder.appName(f"model-serving-{config.variant.value}")
    for name, value in session_settings(config).items():
        builder = builder.config(name, value)
    for name, value in _defaults(config).items():
        if not given.contains(name):
            builder = builder.config(name, value)
    if (given.get("spark.master") or "") in _DEFAULT_MASTERS:
        # One more than work at the same time, so that a batch of models does not wait for one of records.
        builder = builder.master(f"local[{config.parallelism + 1}]")
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("WARN")
    return session


def session_settings(config: SparkConfig) -> dict[str, str]:
    """The settings that the job relies on, whatever the cluster has as its own."""
    return {
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": str(config.parallelism),
        # The default starts a process for every file that is renamed.
        "spark.sql.streaming.checkpointFileManagerClass": (
            "org.apache.spark.sql.execution.streaming.checkpointing.FileSystemBasedCheckpointFileManager"
        ),
        "spark.sql.streaming.stateStore.providerClass": (
            "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"
        ),
        "spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled": "true",
    }


def _defaults(config: SparkConfig) -> dict[str, str]:
    """Settings that the user may have set otherwise on his command line or in spark-defaults.conf."""
    return {
        "spark.driver.memory": "1g",
        "spark.ui.enabled": "true" if config.ui_port else "false",
        "spark.ui.port": str(config.ui_port or 4040),
        "spark.ui.showConsoleProgress": "false",
    }
