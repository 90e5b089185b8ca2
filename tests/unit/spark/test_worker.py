"""What a worker process of Spark has once, and what it does before it ends."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from model_serving import assembly
from model_serving.core.messages import ModelToServe, ModelType
from model_serving.core.statistics.report import VersionStatistics
from model_serving.core.statistics.reporter import Reporter
from model_serving.settings import ServingSettings
from model_serving.spark import worker
from model_serving.spark.workers_end import reports_awaited, when_the_job_ends


class Sink:
    """Keeps every report."""

    def __init__(self) -> None:
        self.reports: list[VersionStatistics] = []

    def send(self, report: VersionStatistics) -> bool:
        self.reports.append(report)
        return True

    def has_lost(self) -> bool:
        return False

    def close(self, timeout_s: float) -> None:
        """Everything has arrived."""


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(worker, "_parts", {})
    monkeypatch.setattr(worker, "_recorders", {})
    yield
    worker.end()


@pytest.fixture
def sink(monkeypatch: pytest.MonkeyPatch) -> Sink:
    made = Sink()
    monkeypatch.setattr(assembly, "new_reporter", lambda _settings: Reporter(lambda: made))
    return made


def test_equal_settings_share_their_parts(settings: ServingSettings) -> None:
    made = worker.parts(settings)
    assert worker.parts(replace(settings)) is made
    assert worker.parts(replace(settings, keep_versions=4)) is not made


def test_the_last_reports_say_that_the_worker_serves_no_more(settings: ServingSettings, sink: Sink) -> None:
    worker.parts(replace(settings, stats_topic="model-stats"))
    ((_, recorder),) = worker._recorders.values()
    recorder.begin(ModelToServe("hall", "model", ModelType.PMML, "v1", "", b""), ("temperature",))
    worker.end()
    last = sink.reports[-1]
    assert (last.version, last.host, last.until > 0) == ("v1", "spark-keyed", True)
    assert last.instance == f"driver {os.getpid()}"


def test_garbage_collection_leaves_out_what_is_frozen() -> None:
    before = gc.get_freeze_count()
    worker.freeze()
    try:
        assert gc.get_freeze_count() > before
    finally:
        gc.unfreeze()


PROGRAM = """
import os, sys
from model_serving import assembly
from model_serving.core.messages import ModelToServe, ModelType
from model_serving.core.scoring.waiting import NoModelPolicy, WaitingPolicy
from model_serving.core.statistics.reporter import Reporter
from model_serving.settings import ServingSettings
from model_serving.spark import worker

class Sink:
    def send(self, report):
        os.write(1, f"{report.instance.split()[0]} {report.until > 0}\\n".encode())
        return True
    def has_lost(self):
        return False
    def close(self, timeout_s):
        pass

assembly.new_reporter = lambda settings: Reporter(Sink)
waiting = WaitingPolicy(NoModelPolicy.DROP, 0, bounded=False)
worker.parts(ServingSettings("tests.protos.sensorreading_pb2:SensorReading", "m", "d", waiting, 1, "/", 1))
((_, recorder),) = worker._recorders.values()
recorder.begin(ModelToServe("hall", "model", ModelType.PMML, "v1", "", b""), ("temperature",))
os.write(1, b"serves\\n")
sys.stdin.read()
"""


@pytest.fixture
def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts worker processes, each until it serves; at the end they are killed."""
    monkeypatch.setenv(worker.WORKER_MARK, "1")
    made: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        made.append(
            subprocess.Popen(
                [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        )
        assert made[-1].stdout is not None
        while (line := made[-1].stdout.readline()) != "serves\n":
            assert line, "it has ended"
        return made[-1]

    yield start
    for one in made:
        one.kill()
        one.communicate()


def test_the_driver_waits_until_its_workers_have_reported(
    serving: Callable[[], subprocess.Popen[str]],
) -> None:
    with reports_awaited():
        process = serving()
    # From here on Spark may kill it.
    process.kill()
    assert process.stdout is not None
    assert process.stdout.read().splitlines()[-1] == "worker True"


def test_a_worker_that_was_killed_is_not_waited_for(
    serving: Callable[[], subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with reports_awaited():
        process = serving()
        process.kill()
        process.wait()
        monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it waited"))


def test_a_worker_whose_driver_is_elsewhere_reports_at_its_own_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_SERVING_SPARK_ENDING", "/nowhere")
    when_the_job_ends(lambda: pytest.fail("nobody has ended the job"))
