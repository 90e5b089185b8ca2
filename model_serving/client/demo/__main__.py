"""``make demo``: shows Kafka, the job, every sample model in turn and a stream of records, live.

The dashboard is up meanwhile; a line says where.

``DEMO_SECONDS`` (60) is the time for which records flow, ``JOB`` (keyed) what serves: keyed, broadcast,
server, spark, spark-keyed or spark-broadcast. ``DEMO_TFSERVING`` and ``DEMO_OPENINFERENCE`` are URLs of
served models, which are published after the sample models. The exit status is 0 if every record came back and
every model served, 1 with one line if not, 2 for a wrong setting, 130 when interrupted.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.client.demo.dashboard import dashboard_command, http_flags, new_door, where
from model_serving.client.demo.job import JOBS, SERVER, RunningJob, check_set_up, job_command, run_job
from model_serving.client.demo.run import DemoRun
from model_serving.client.demo.screen import Screen, choose_screen
from model_serving.client.demo.served import served_models
from model_serving.client.errors import ClientError, WrongCall
from model_serving.client.model_messages import ModelToPublish, models_of_samples
from model_serving.client.ports import free_port
from model_serving.client.printable import printable
from model_serving.client.record_files import DEFAULT_RECORD_TYPE, load_record_type, read_record_file
from model_serving.client.samples import sample_records
from model_serving.messaging.errors import MessagingError
from model_serving.messaging.topics import TopicNames
from model_serving.query.run import missing_extra
from model_serving.runtime.errors import SetupError

__all__ = ["DemoSettings", "main", "read_settings"]

_DATA_TYPE = "wine"
_RATE = 200.0
_USUAL_PORT = 9092


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """The time for which records flow, seconds, and what serves: one of ``JOBS``.

    ``served`` are models in model servers, which come after the sample models.
    """

    seconds: float
    job: str
    served: list[ModelToPublish] = field(default_factory=list)


def read_settings(environ: Mapping[str, str]) -> DemoSettings:
    """Reads the settings from the environment.

    Raises:
        WrongCall: a setting is not allowed.
    """
    seconds, job = environ.get("DEMO_SECONDS") or "60", environ.get("JOB") or "keyed"
    if not seconds.isdecimal() or int(seconds) < 1:
        raise WrongCall(f"DEMO_SECONDS={seconds}: give a whole number of seconds from 1 up")
    if job not in JOBS:
        raise WrongCall(f"JOB={job}: give {', '.join(JOBS[:-1])} or {JOBS[-1]}")
    return DemoSettings(float(seconds), job, served_models(environ))


def main() -> int:
    """Runs the demo and returns the exit status."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        settings = read_settings(os.environ)
        _run(settings, choose_screen())
    except KeyboardInterrupt:
        print("demo: interrupted, everything is stopped", file=sys.stderr)
        return 130
    except (ClientError, MessagingError, SetupError) as error:
        print(printable(f"demo: {error}"), file=sys.stderr)
        return 2 if isinstance(error, WrongCall) else 1
    return 0


def _interrupt(*_: object) -> NoReturn:
    # One signal is enough. The stopping begins now, and no further signal may interrupt it.
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def _run(settings: DemoSettings, screen: Screen) -> None:
    check_set_up(settings.job)
    topics = TopicNames()
    record_type = load_record_type(DEFAULT_RECORD_TYPE)
    records = read_record_file(sample_records(), record_type, _DATA_TYPE).records
    models = [*models_of_samples(_DATA_TYPE), *settings.served]
    port = free_port(preferred=_USUAL_PORT)
    if port != _USUAL_PORT:
        screen.say(f"port {_USUAL_PORT} is taken by another program; this Kafka listens on {port}")
    folder = Path(tempfile.mkdtemp(prefix="model-serving-demo-"))
    with ExitStack() as running:
        # This runs last. After a failure it keeps the log, which the user needs.
        running.push(
            lambda kind, *_: _tidy(folder, failed=kind is not None and kind is not KeyboardInterrupt)
        )
        screen.say("starting Kafka ...")
        broker = running.enter_context(EmbeddedBroker(port=port, topics=topics))
        job_name = "server" if settings.job == SERVER else f"{settings.job.replace('spark', 'Spark')} job"
        screen.say(f"Kafka runs at {broker.bootstrap_servers}; starting the {job_name} ...")
        job, seen_at = _start(settings.job, broker.bootstrap_servers, topics, folder, running)
        screen.say(seen_at)
        run = DemoRun(broker.kafka, topics, _DATA_TYPE, screen, check=job.check)
        with run:
            run.prepare(models)
            run.stream(models, itertools.cycle(records), record_type, rate=_RATE, seconds=settings.seconds)
        screen.summarize(run.tally, sent=run.sent)
        _judge(run.failures(models), job.log)
        screen.say(f"stopping the {job_name} and Kafka ...")
    screen.say("done: nothing is left running")


def _start(
    job: str, bootstrap_servers: str, topics: TopicNames, folder: Path, running: ExitStack
) -> tuple[RunningJob, str]:
    """Starts the job and the dashboard; returns the job, and a line about the dashboard."""
    missing = missing_extra()
    command, log = job_command(job, bootstrap_servers, topics, folder / "checkpoints"), folder / "job.log"
    if missing is not None:
        return running.enter_context(run_job(command, log)), f"there is no dashboard: {missing}"
    door = new_door(folder)
    if job == SERVER:
        started = running.enter_context(run_job([*command, *http_flags(door)], log))
        return started, where(door, started)
    started = running.enter_context(run_job(command, log))
    serve = dashboard_command(door, bootstrap_servers, topics)
    return started, where(door, running.enter_context(run_job(serve, folder / "dashboard.log")))


def _judge(failures: Sequence[str], log: Path) -> None:
    if failures:
        raise ClientError(f"{failures[0]}: {log} may say why")


def _tidy(folder: Path, *, failed: bool) -> None:
    shutil.rmtree(folder if not failed else folder / "checkpoints", ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
