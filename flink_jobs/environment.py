"""The execution environment of a job, with the Flink settings that follow from the job's flags."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import Any

from pyflink.common import Configuration
from pyflink.common.job_client import JobClient
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.java_gateway import get_gateway
from pyflink.table import StreamTableEnvironment

from flink_jobs.checkpoint_failures import EXACTLY_ONCE_CHECKPOINT_MS, tolerated
from flink_jobs.config import Delivery, ExecutionMode, JobConfig, StateBackend
from functions.internals import (
    import_without_beam,
    java_environment,
    leave_out_worker_server,
    set_operator_configuration,
    stream_graph_of,
)

__all__ = ["BUNDLE_SIZE", "build_environment", "stream_graph", "submit"]

BUNDLE_SIZE = "python.fn-execution.bundle.size"
"""Flink's option for the largest number of elements in a bundle, in process mode."""

_KEY_GROUPS = 128
"""The number of parts that state is divided into, which is also the largest number of instances.

Flink itself chooses this number for up to 85 instances."""

_THREAD_MODE = Path(__file__).resolve().parent / "thread_mode"
_PYTHON_JAR = "flink-python-"

_CHECKPOINTING = {
    # An operator does not wait for the barriers of its inputs, so a checkpoint never holds records back.
    # After a crash some records may be scored twice, which at-least-once allows.
    Delivery.AT_LEAST_ONCE: "AT_LEAST_ONCE",
    Delivery.EXACTLY_ONCE: "EXACTLY_ONCE",
}


def build_environment(config: JobConfig) -> tuple[StreamExecutionEnvironment, StreamTableEnvironment]:
    """A stream environment, and the table environment on top of it."""
    settings = Configuration()
    for key, value in _settings(config).items():
        settings.set_string(key, value)
    if config.execution_mode is ExecutionMode.THREAD:
        import_without_beam()
        leave_out_worker_server()
    env = StreamExecutionEnvironment.get_execution_environment(settings)
    env.set_parallelism(config.parallelism)
    if env.get_max_parallelism() < 1:
        # Set here, so that operators do not derive it: all must agree on which instance has which data type,
        # also after a restore with another parallelism.
        env.set_max_parallelism(max(_KEY_GROUPS, config.parallelism))
    if config.execution_mode is ExecutionMode.THREAD:
        _put_before_beam(env)
    _leave_out_python_jar(env)
    return env, StreamTableEnvironment.create(env)


def submit(env: StreamExecutionEnvironment, name: str, with_timers: Collection[str]) -> JobClient:
    """Starts the job of the environment; ``with_timers``: see ``stream_graph``."""
    graph = stream_graph(env, name, with_timers)
    return JobClient(java_environment(env).executeAsync(graph))


def stream_graph(env: StreamExecutionEnvironment, name: str, with_timers: Collection[str]) -> Any:
    """Java's ``StreamGraph`` of the environment. ``with_timers`` are the uids of operators with timers.

    In process mode Python sends a timer to Flink as a message, and the operator's thread reads this message
    after the bundle has ended. A checkpoint's barrier ends the bundle too, but Flink then takes the
    operator's state before it reads the bundle's output. The checkpoint would hold the state of an element
    without its timer, and after a restore the timer would never fire. So the bundles of these operators hold
    one element each, and Flink reads all the output of an element before a barrier.
    This does not cover a timer that is registered while another timer fires: Flink reads it after its next
    input.
    """
    graph = stream_graph_of(env, name)
    for node in graph.getStreamNodes().toArray():
        if node.getTransformationUID() in with_timers:
            operator = node.getOperatorFactory().getOperator()
            # PyFlink gives all operators the same configuration object and has no way to set another one.
            own = operator.getConfiguration().clone()
            own.setString(BUNDLE_SIZE, "1")
            set_operator_configuration(operator, own)
    return graph


def _put_before_beam(env: StreamExecutionEnvironment) -> None:
    """Puts the folder ``thread_mode`` first on the path of thread mode's interpreter; see what is in it.

    On a machine that does not have the folder, this changes nothing.
    """
    settings = java_environment(env).getConfiguration()
    given = settings.getString("python.pythonpath", "")
    settings.setString("python.pythonpath", os.pathsep.join(filter(None, [str(_THREAD_MODE), given])))


def _leave_out_python_jar(env: StreamExecutionEnvironment) -> None:
    """Takes Flink's own jar for Python off a local job, if the JVM has this jar on its class path.

    ``flink run -py`` adds the jar to each job. The minicluster would copy its 42 MB and compute two digests
    of them, a tenth of the processor time of a start. A job for a cluster keeps the jar, because the cluster
    may not have it.
    """
    settings, jvm = java_environment(env).getConfiguration(), get_gateway().jvm
    if settings.getString("execution.target", "local") != "local":
        return
    option = jvm.org.apache.flink.configuration.PipelineOptions.JARS
    class_path = str(jvm.java.lang.System.getProperty("java.class.path")).split(os.pathsep)
    known = {name for entry in class_path if (name := PurePosixPath(entry).name).startswith(_PYTHON_JAR)}
    jars = [str(url) for url in settings.get(option) or ()]
    kept = [url for url in jars if PurePosixPath(url).name not in known]
    if len(kept) < len(jars):
        settings.set(option, kept)


def _settings(config: JobConfig) -> dict[str, str]:
    settings = {
        "python.execution-mode": config.execution_mode.value,
        # A minicluster has one slot by default, and a job that lacks slots waits without a message.
        "taskmanager.numberOfTaskSlots": str(config.parallelism),
        # kafka_io has gathered records already, so waiting again at each network buffer only adds delay.
        "execution.buffer-timeout.interval": "0 ms",
        # Windows of processing time are counted in this zone. Any other zone is converted for each record,
        # and would hold windows back for an hour when its clocks are set back.
        "table.local-time-zone": "UTC",
        # The operators that SQL makes get uids like all others, so that a savepoint finds them again.
        "table.exec.uid.generation": "ALWAYS",
        "restart-strategy.type": "none",
        # A row may hold records of several keys, and a model message may be in several elements, so what is
        # in flight cannot be part of a checkpoint (see functions/placement.py, functions/chunks.py), whoever
        # asks for it.
        "execution.checkpointing.unaligned.enabled": "false",
    }
    if config.restart_attempts:
        # Attempts are limited, because a lasting fault would restart the job for ever.
        settings |= {
            "restart-strategy.type": "exponential-delay",
            "restart-strategy.exponential-delay.initial-backoff": "1 s",
            "restart-strategy.exponential-delay.max-backoff": "30 s",
            "restart-strategy.exponential-delay.reset-backoff-threshold": "2 min",
            "restart-strategy.exponential-delay.attempts-before-reset-backoff": str(config.restart_attempts),
        }
    if config.execution_mode is ExecutionMode.THREAD:
        # Thread mode's bridge to Python must be one class for all jobs of a TaskManager, not one for each.
        settings["classloader.parent-first-patterns.additional"] = "pemja"
    else:
        # In milliseconds. Process mode gives results out when a bundle ends; an element of a bundle here is
        # a vector, not a record. Thread mode has no bundles, but its operators would wake up as often.
        settings["python.fn-execution.bundle.time"] = "5"
    if config.state_backend is not None:
        settings["state.backend.type"] = config.state_backend.value
    if config.state_backend is StateBackend.ROCKSDB:
        # RocksDB's files never change once written, so a checkpoint needs to take the new ones only.
        settings["execution.checkpointing.incremental"] = "true"
    if config.checkpoint_interval_ms:
        settings |= {
            "execution.checkpointing.interval": f"{config.checkpoint_interval_ms} ms",
            "execution.checkpointing.mode": _CHECKPOINTING[config.delivery],
            "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
            "execution.checkpointing.dir": config.checkpoint_dir,
            "execution.checkpointing.savepoint-dir": config.checkpoint_dir,
            # By default Flink restarts a job whose checkpoint fails, though nothing is wrong with the job.
            "execution.checkpointing.tolerable-failed-checkpoints": str(tolerated(config)),
        }
        if config.delivery is Delivery.EXACTLY_ONCE:
            settings["execution.checkpointing.timeout"] = f"{EXACTLY_ONCE_CHECKPOINT_MS} ms"
    return settings
