"""Runs a Spark job from the command line; both scripts call ``main``, each with its variant."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module
from threading import Event
from typing import TYPE_CHECKING, NoReturn
from uuid import uuid4

from model_serving.events import one_line
from model_serving.messaging.errors import MessagingError
from model_serving.messaging.preflight import Reached, admin_for, check_topics
from model_serving.runtime.errors import SetupError
from model_serving.spark import worker
from model_serving.spark.checkpoint_folder import CheckpointFolder, SparkFolder, local_folder
from model_serving.spark.config import SparkConfig, Variant, parse_config
from model_serving.spark.environment import spark_environment
from model_serving.spark.failures import cause_of
from model_serving.spark.identity import ForeignCheckpoint, is_new_checkpoint, keep_identity
from model_serving.spark.news import ModelNews
from model_serving.spark.session import close_session, is_alive, open_session
from model_serving.spark.started import Started
from model_serving.spark.stopping import end_after_batch
from model_serving.spark.watching import Commits, watch
from model_serving.spark.workers_end import reports_awaited

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["main"]

_PAUSES_S = (1.0, 2.0, 5.0, 10.0, 30.0)
"""The pauses before a job that failed starts again; the last one counts for all further times."""

_CALM_S = 120.0
"""After so long without a failure, pauses and attempts are counted from the beginning again."""

_GRACE_S = 25.0
"""How long a batch may go on after SIGTERM."""

_JVM_FIRST = "PYSPARK_GATEWAY_PORT"
"""Is set where spark-submit itself has started the JVM, which has started this process."""


def main(variant: Variant) -> NoReturn:
    """Parses the flags, checks Kafka, runs the job until it ends or is stopped, then exits.

    Exit status: 0 when the job finished or was stopped by SIGINT or SIGTERM, 1 when it could not start or
    failed, 2 for a wrong flag; each failure is one line on standard error.
    """
    config = parse_config(sys.argv[1:], os.environ, variant)
    stopping = Event()
    # The handler only sets a flag: an exception raised in it could interrupt a call to the JVM.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stopping.set())
    program = f"{variant.value}.py"
    try:
        _run(program, config, stopping)
    except (SetupError, MessagingError, ForeignCheckpoint) as error:
        _fail(program, str(error))
    # pyspark and Py4J wrap every error of the JVM; the user needs the first cause.
    except Exception as error:  # noqa: BLE001
        _fail(program, cause_of(error))
    _exit(0)


def _run(program: str, config: SparkConfig, stopping: Event) -> None:
    if _JVM_FIRST not in os.environ:
        os.environ.update(spark_environment(os.environ, address=config.ui_host))
    # First what takes a moment, because Spark takes some seconds.
    reached = admin_for(config.kafka)
    folder = local_folder(config.checkpoint_dir)
    if folder is not None:
        config = _checked(program, config, folder, reached)
    with ExitStack() as closing:
        # Begins before Spark starts, and ends before Spark ends its workers.
        reports = closing.enter_context(ExitStack())
        reports.enter_context(reports_awaited())
        session = open_session(config)
        # Where the driver admits models, it counts too, as each worker does.
        closing.callback(worker.end)
        closing.callback(close_session, session)
        closing.callback(reports.close)
        if folder is None:
            config = _checked(program, config, SparkFolder(session, config.checkpoint_dir), reached)
        news = closing.enter_context(ModelNews(config))
        if session.sparkContext.uiWebUrl:
            print(f"{program}: Spark's web interface is at {session.sparkContext.uiWebUrl}", flush=True)
        has_finished = _serve(program, config, session, stopping, news.tell)
    print(f"{program}: {'finished' if has_finished else 'stopped'}", flush=True)


def _checked(program: str, config: SparkConfig, folder: CheckpointFolder, reached: Reached) -> SparkConfig:
    """Makes sure that the checkpoint is the job's and the topics exist, and completes the configuration."""
    # A wrong flag must not create a topic where the checkpoint knows better, and what cannot start must not
    # leave a mark in a new checkpoint.
    is_new = is_new_checkpoint(folder, config)
    checked = check_topics(config.kafka, config.topic_names, reached)
    if is_new:
        keep_identity(folder, config)
    for line in checked.news:
        print(f"{program}: {line}", file=sys.stderr, flush=True)
    return replace(
        config,
        run=f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid4().hex[:12]}",
        dead_letter_limit=checked.dead_letter_limit,
        result_limit=checked.result_limit,
    )


def _serve(
    program: str, config: SparkConfig, session: SparkSession, stopping: Event, tell: Callable[[], None]
) -> bool:
    """Serves; after a failure, begins again from the checkpoint. True if the job finished by itself."""
    failures = 0
    has_run = Event()
    while True:
        start_s = time.monotonic()
        try:
            return _serve_once(program, config, session, stopping, tell, has_run)
        # Whatever a query failed with: the checkpoint has everything that another start needs.
        except Exception as error:
            if stopping.is_set():
                return False
            failures = 0 if time.monotonic() - start_s > _CALM_S else failures
            failures += 1
            # What does not start the first time is wrongly set up, and a JVM that died does not come back.
            if not has_run.is_set() or failures > config.restart_attempts or not is_alive(session):
                raise
            pause_s = _PAUSES_S[min(failures, len(_PAUSES_S)) - 1]
            _say(
                program,
                f"the job failed and starts again from its checkpoint in {pause_s:g} s: {cause_of(error)}",
            )
            if stopping.wait(pause_s):
                return False


def _serve_once(
    program: str,
    config: SparkConfig,
    session: SparkSession,
    stopping: Event,
    tell: Callable[[], None],
    has_run: Event,
) -> bool:
    """Serves until the job is to be stopped or has failed; ``has_run`` is set once it has started."""
    # By name, because only the variant that runs is imported.
    query = import_module(f"model_serving.spark.{config.variant.value}.query")
    started: Started = query.start(session, config)
    commits = Commits(config)

    def wait(seconds: float) -> bool:
        tell()
        return stopping.wait(seconds)

    try:
        print(f"{program}: job {session.sparkContext.applicationId} runs", flush=True)
        has_run.set()
        has_finished = watch(started, wait, commits.take)
        if has_finished:
            started.finishing()
        if not end_after_batch(session, started.queries, grace_s=_GRACE_S):
            _say(program, f"a batch was not ended within {_GRACE_S:.0f} s: it is repeated at the next start")
        for one in started.queries:
            if (progress := one.lastProgress) is not None:
                commits.take(progress)
    finally:
        for one in started.queries:
            one.stop()
        started.close()
        commits.close()
        tell()
    return has_finished


def _say(program: str, line: str) -> None:
    print(one_line(f"{program}: {line}"), file=sys.stderr, flush=True)


def _fail(program: str, why: str) -> NoReturn:
    _say(program, why)
    _exit(1)


def _exit(status: int) -> NoReturn:
    sys.stdout.flush()
    raise SystemExit(status)
