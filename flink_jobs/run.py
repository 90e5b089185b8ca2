"""Runs a job from the command line; both entry scripts call ``main``, each with its own topology."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from threading import Event
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from flink_jobs.config import JobConfig, parse_config
from flink_jobs.failures import cause_of
from flink_jobs.handover import Handover
from flink_jobs.local_news import LocalNews
from flink_jobs.preflight import PreflightError, check_broker
from model_serving.runtime.checkpoints import retained_checkpoints, why_not_writable
from model_serving.runtime.environment import flink_environment
from model_serving.runtime.errors import SetupError

if TYPE_CHECKING:
    from pyflink.common import Configuration
    from pyflink.common.job_client import JobClient
    from pyflink.datastream import DataStream, StreamExecutionEnvironment
    from pyflink.table import StreamTableEnvironment

    from flink_jobs.topology import Served

__all__ = ["Topology", "assemble", "main"]

Topology = Callable[["DataStream", "DataStream", JobConfig], "Served"]
"""A function from the streams of models and of records, as messages from Kafka, to the output streams."""


_SAVEPOINT_S = 8.0
_POLL_S = 0.1


def main(program: str, topology: Topology) -> None:
    """Parses the flags, checks Java and the broker, runs the job until it ends or is stopped, then exits.

    Exit status: 0 when the job finished or was stopped by SIGINT or SIGTERM, 1 when it could not start or
    failed, 2 for a wrong flag; each failure is one line on stderr.
    """
    config = parse_config(sys.argv[1:], os.environ, program)
    try:
        handover = Handover.read(os.environ) or _preflight(program, config)
    except (SetupError, PreflightError) as error:
        _fail(program, str(error))
    try:
        _run(program, topology, config, handover)
    # Py4J wraps every error of the JVM; the user needs the first cause.
    except Exception as error:  # noqa: BLE001
        _fail(program, _first_cause(error))


def _preflight(program: str, config: JobConfig) -> Handover:
    """Makes the checks that the flink command makes before it starts a job."""
    # The JVM that PyFlink starts inherits this environment.
    os.environ.update(flink_environment(os.environ))
    checked = check_broker(config)
    for line in checked.news:
        print(f"{program}: {line}", file=sys.stderr)
    again = ("-py", *sys.argv)
    return Handover(checked.dead_letter_limit, checked.result_limit, again, checked.shared_groups)


def _run(program: str, topology: Topology, config: JobConfig, handover: Handover) -> None:
    from flink_jobs.environment import build_environment, submit
    from flink_jobs.restore import check_restorable
    from flink_jobs.topology import with_timers

    env, tables = build_environment(config)
    settings = _settings(env)
    check_restorable(program, settings)
    # A job that restarts by itself keeps the name of its run; a job that is submitted again, from any
    # checkpoint or savepoint, gets a new one. The stored models that the checkpoint or savepoint refers to
    # belong to the earlier run, unless Flink was told that this job claims them.
    config = replace(
        config,
        host=program.removesuffix(".py"),
        run=f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid4().hex[:12]}",
        claims_stored=settings.get_string("execution.state-recovery.claim-mode", "NO_CLAIM") == "CLAIM",
        dead_letter_limit=handover.dead_letter_limit,
        result_limit=handover.result_limit,
    )
    if not config.store:
        print(
            f"{program}: models of any size stay in Flink's state, because Python has no client for "
            "--checkpoint-dir: name a --model-store for large ones",
            file=sys.stderr,
        )
    assemble(env, tables, topology, config)
    stopping = Event()
    # The handler only sets a flag: an exception raised in it could interrupt a call to the JVM, or be lost in
    # a finalizer.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stopping.set())
    job = submit(env, f"model-serving-{program.removesuffix('.py')}", with_timers(config.bounded))
    print(f"{program}: job {job.get_job_id()} runs", flush=True)
    if settings.get_string("execution.attached", "true") == "false":
        return
    result = job.get_job_execution_result()
    news = LocalNews(program, job, config, handover.shared_groups)
    while not result.done():
        news.tell()
        if stopping.wait(_POLL_S):
            if settings.get_string("execution.target", "local") == "local":
                _end(program, job, config, handover)
                print(f"{program}: stopped")
            else:
                print(f"{program}: job {job.get_job_id()} still runs on its cluster; flink cancel ends it")
            return
    try:
        result.result()
    except Exception:
        _tell_way_back(program, str(job.get_job_id()), config, handover)
        raise
    print(f"{program}: finished")


def _tell_way_back(program: str, job_id: str, config: JobConfig, handover: Handover) -> None:
    # A checkpoint that cannot be seen from here, such as one on another machine's disk, cannot be named.
    with contextlib.suppress(OSError, ImportError, ValueError):
        own = [one for one in retained_checkpoints(config.checkpoint_dir) if one.job == job_id]
        if own:
            again = handover.way_on(own[0].path)
            print(
                f"{program}: to go on from the last checkpoint, once the cause is mended: {again}", flush=True
            )


def assemble(
    env: StreamExecutionEnvironment, tables: StreamTableEnvironment, topology: Topology, config: JobConfig
) -> None:
    """Puts a whole job into the environment: from Kafka, through the topology, to Kafka."""
    from flink_jobs.kafka_io import model_messages, record_vectors, write_to

    served = topology(model_messages(env, config), record_vectors(tables, config), config)
    write_to(served.results, config.results_topic, "results", config)
    write_to(served.dead_letters, config.dead_letter_topic, "dead letters", config)
    write_to(served.statuses, config.status_topic, "statuses", config)
    write_to(served.rollbacks, config.models_topic, "rollbacks", config)


def _end(program: str, job: JobClient, config: JobConfig, handover: Handover) -> None:
    """Ends a local job with a savepoint, so that no record is read twice or lost; without one, cancels it."""
    if config.checkpoint_interval_ms:
        savepoint, why = _savepoint(job, config.checkpoint_dir)
        if savepoint:
            print(f"{program}: to go on from here: {handover.way_on(savepoint)}")
            return
        print(f"{program}: no savepoint could be made ({why}), cancelling", file=sys.stderr)
        _tell_way_back(program, str(job.get_job_id()), config, handover)
    job.cancel().result()


def _savepoint(job: JobClient, directory: str) -> tuple[str, str]:
    """Stops the job; gives the path of its savepoint, or an empty path and the reason why there is none."""
    deadline, why = time.monotonic() + _SAVEPOINT_S, f"not within {_SAVEPOINT_S:.0f} s"
    while time.monotonic() < deadline:
        savepoint = _stop_with_savepoint(job, directory)
        while not savepoint.isDone() and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        if not savepoint.isDone():
            break
        # Py4J wraps every error. A job whose tasks are still starting refuses a savepoint, and accepts one a
        # moment later.
        try:
            return str(savepoint.get()), ""
        except Exception as error:  # noqa: BLE001
            if cause := why_not_writable(directory):
                return "", cause
            why = _first_cause(error)
        time.sleep(_POLL_S)
    return "", why_not_writable(directory) or why


def _stop_with_savepoint(job: JobClient, directory: str) -> Any:
    """Java's future of the savepoint's path."""
    # JobClient.stop_with_savepoint calls the Java method without a format, a method that Flink 2 has removed.
    from pyflink.java_gateway import get_gateway

    from functions.internals import java_job_client

    form = get_gateway().jvm.org.apache.flink.core.execution.SavepointFormatType.CANONICAL
    return java_job_client(job).stopWithSavepoint(False, directory, form)


def _settings(env: StreamExecutionEnvironment) -> Configuration:
    from pyflink.common import Configuration

    from functions.internals import java_environment

    return Configuration(j_configuration=java_environment(env).getConfiguration())


def _first_cause(error: BaseException) -> str:
    java = getattr(error, "java_exception", None)
    if java is not None:
        return cause_of(java)
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _fail(program: str, why: str) -> None:
    print(f"{program}: {why}", file=sys.stderr, flush=True)
    raise SystemExit(1)
