"""Every private name of PyFlink, Py4J and pemja that this project uses, one function for each.

None of them has a public counterpart. ``tests/minicluster/test_internals.py`` fails when an upgrade of Flink
takes one of them away.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pyflink.common import Row
from pyflink.common.job_client import JobClient
from pyflink.datastream import DataStream, RuntimeContext, StreamExecutionEnvironment
from pyflink.util.java_utils import get_field

__all__ = [
    "Task",
    "current_key_setter",
    "import_without_beam",
    "java_environment",
    "java_job_client",
    "java_job_id",
    "java_stream",
    "leave_out_worker_server",
    "minicluster_of",
    "set_operator_configuration",
    "stream_graph_of",
    "task_of",
]


@dataclass(frozen=True, slots=True)
class Task:
    """An operator instance: its number from 0, how many there are, and how many key groups."""

    index: int
    parallelism: int
    key_groups: int


def task_of(context: RuntimeContext) -> Task:
    """The operator instance of a runtime context.

    PyFlink's own methods call Java methods that Flink 2 has moved when Python runs in thread mode, so in that
    mode the Java object behind the context is asked.
    """
    java_context = getattr(context, "_runtime_context", None)
    if java_context is not None:
        java = java_context.getTaskInfo()
        return Task(
            int(java.getIndexOfThisSubtask()),
            int(java.getNumberOfParallelSubtasks()),
            int(java.getMaxNumberOfParallelSubtasks()),
        )
    return Task(
        context.get_index_of_this_subtask(),
        context.get_number_of_parallel_subtasks(),
        context.get_max_number_of_parallel_subtasks(),
    )


def current_key_setter(context: RuntimeContext) -> Callable[[str], None]:
    """Sets the key, a row of one text, that keyed state and timers belong to until the next element."""
    backend: Any = context._keyed_state_backend  # noqa: SLF001
    if hasattr(backend, "set_current_key"):
        return lambda key: backend.set_current_key(Row(key))
    # Thread mode: the same backend in Java, behind one that only makes states.
    from pemja import findClass

    java_backend, java_row = backend._keyed_state_backend, findClass("org.apache.flink.types.Row")  # noqa: SLF001

    def in_java(key: str) -> None:
        row = java_row(1)
        row.setField(0, key)
        java_backend.setCurrentKey(row)

    return in_java


def java_environment(env: StreamExecutionEnvironment) -> Any:
    """Java's ``StreamExecutionEnvironment``."""
    return env._j_stream_execution_environment  # noqa: SLF001


def import_without_beam() -> None:
    """Imports PyFlink's package for running functions without its trial import of Apache Beam.

    The package keeps in mind that it has no compiled parts. A job's script that runs in thread mode, or on a
    cluster, uses none of them. Beam can be imported as always afterwards.
    """
    package = "apache_beam"
    if package in sys.modules:
        return
    # An import of a name that stands for nothing fails at once.
    sys.modules[package] = None  # type: ignore[assignment]
    try:
        import pyflink.fn_execution  # noqa: F401
    finally:
        del sys.modules[package]


def leave_out_worker_server() -> None:
    """Keeps PyFlink from starting its server for worker processes in this process; thread mode has none.

    PyFlink starts the server with each local job. It takes Apache Beam and pandas into this process, which is
    half of the processor time and three quarters of the memory of the job's script.
    """
    os.environ.setdefault("_python_worker_execution_mode", "process")


def stream_graph_of(env: StreamExecutionEnvironment, name: str) -> Any:
    """Java's ``StreamGraph`` of all that was put into the environment, as ``execute_async`` makes it."""
    return env._generate_stream_graph(clear_transformations=True, job_name=name)  # noqa: SLF001


def java_stream(stream: DataStream) -> Any:
    """Java's ``DataStream``."""
    return stream._j_data_stream  # noqa: SLF001


def set_operator_configuration(operator: Any, configuration: Any) -> None:
    """Gives one of PyFlink's Java operators a configuration of its own: PyFlink gives the same one to all."""
    get_field(operator.getClass(), "config").set(operator, configuration)


def java_job_client(job: JobClient) -> Any:
    """Java's ``JobClient``."""
    return job._j_job_client  # noqa: SLF001


def java_job_id(job: JobClient) -> Any:
    """Java's ``JobID``."""
    return job.get_job_id()._j_job_id  # noqa: SLF001


def minicluster_of(job: JobClient) -> Any:
    """The Java minicluster that a local job runs on; None: the job runs on a cluster."""
    client = java_job_client(job)
    for field in client.getClass().getDeclaredFields():
        if field.getName() == "miniCluster":
            field.setAccessible(True)
            return field.get(client)
    return None
