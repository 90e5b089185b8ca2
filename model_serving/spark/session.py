"""The Spark session of a job: the settings that it cannot do without."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import psutil

from model_serving.spark.config import SparkConfig, Variant

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["close_session", "is_alive", "open_session", "session_settings"]

_DEFAULT_MASTERS = {"", "local[*]"}
"""What ``spark.master`` is where the user has named none; the second is spark-submit's own default."""

_DEFAULT_NAMES = {"", "PySparkShell", "pyspark-shell"}

_TASK_FAILURES = 4
"""How often a task may fail before its query does, for example because its worker process was killed. It is
the default of a cluster; without a cluster Spark's own is 1."""

_END_S = 15.0
"""How long Spark's processes may take to end by themselves."""

_LOOPBACK = "127.0.0.1"


def open_session(config: SparkConfig) -> SparkSession:
    """Starts Spark, or joins the JVM that spark-submit has started. Takes some seconds."""
    from pyspark import SparkConf, SparkContext
    from pyspark.java_gateway import launch_gateway
    from pyspark.sql import SparkSession

    # The JVM first: only it knows what the user has set, on the command line or in spark-defaults.conf.
    gateway = launch_gateway()
    conf = SparkConf(_jvm=gateway.jvm)
    for name, value in session_settings(config).items():
        conf.set(name, value)
    for name, value in _defaults(config).items():
        if not conf.contains(name):
            conf.set(name, value)
    if conf.get("spark.app.name", "") in _DEFAULT_NAMES:
        conf.setAppName(f"model-serving-{config.variant.value}")
    if conf.get("spark.master", "") in _DEFAULT_MASTERS:
        # One more than score at the same time, so that model messages do not wait for records.
        conf.setMaster(f"local[{config.parallelism + 1},{_TASK_FAILURES}]")
        conf.set("spark.driver.host", _LOOPBACK)
        conf.set("spark.driver.bindAddress", _LOOPBACK)
    # The builder takes the context that there is.
    SparkContext(conf=conf, gateway=gateway)
    return SparkSession.builder.getOrCreate()


def close_session(session: SparkSession) -> None:
    """Ends Spark and the JVM, and returns when none of its processes is left."""
    from py4j.protocol import Py4JError

    gateway: Any = session.sparkContext._gateway  # noqa: SLF001 - pyspark never ends the JVM by itself
    below = psutil.Process().children(recursive=True)
    # The JVM may have died, and the reason was told then.
    with contextlib.suppress(OSError, Py4JError):
        session.stop()
    if gateway.proc is not None:
        gateway.shutdown()
        # The JVM ends when this pipe is closed.
        gateway.proc.stdin.close()
    for process in psutil.wait_procs(below, timeout=_END_S)[1]:
        with contextlib.suppress(psutil.Error):
            process.kill()


def is_alive(session: SparkSession) -> bool:
    """Whether the JVM that ``open_session`` has started still runs; True where spark-submit started it."""
    process: Any = getattr(session.sparkContext._gateway, "proc", None)  # noqa: SLF001
    return process is None or process.poll() is None


def session_settings(config: SparkConfig) -> dict[str, str]:
    """The settings that the job relies on, whatever the cluster has as its own."""
    return {
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": str(config.parallelism),
        # Spark's own, and each worker makes its last reports of statistics before it ends.
        "spark.python.daemon.module": "model_serving.spark.daemon",
        # Spark's default of 15 s is not enough on a machine that is busy with other things.
        "spark.python.authenticate.socketTimeout": "60s",
        # Arrow instead of rows one by one, between the JVM and Python.
        "spark.sql.execution.arrow.pyspark.enabled": "true",
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
    """Settings that the user may also have set in Spark's own way: those of flags, and those for speed.

    Every batch is planned anew, and its plan is small. So what makes large plans fast only costs time here.
    The broadcast job's rows pass no operator that would gain from code made for its plan.
    """
    is_broadcast = config.variant is Variant.BROADCAST
    return {
        "spark.ui.enabled": "true" if config.ui_port else "false",
        "spark.ui.port": str(config.ui_port),
        "spark.sql.codegen.wholeStage": "false" if is_broadcast else "true",
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.lightweightPlanChangeValidation": "false",
        "spark.sql.ui.explainMode": "simple",
    }
