"""What a worker process of Spark has once, and what it does before it ends."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from threading import Timer

import pytest

from model_serving import assembly
from model_serving.core.messages import ModelToServe, ModelType
from model_serving.core.statistics.report import VersionStatistics
from model_serving.core.statistics.reporter import Reporter
from model_serving.settings import ServingSettings
from model_serving.spark import worker
from model_serving.spark.workers_end import awaited_workers


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
from model_serving.spark import daemon

daemon.await_end()
import os, signal
from dataclasses import replace
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
# Spark does this before each task.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
os.kill(os.getpid(), signal.SIGHUP)
signal.pause()
"""


def test_a_worker_that_is_told_to_end_makes_its_last_reports() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        # As a job sets it: a thread of numpy's library that is already there could take the signal.
        env={**os.environ, worker.WORKER_MARK: "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "worker True"


HOLDER = """
import sys
from model_serving.spark.workers_end import hold

hold()
print("held", flush=True)
sys.stdin.read()
"""


def test_the_driver_waits_for_its_workers() -> None:
    with awaited_workers():
        held = subprocess.Popen(
            [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert held.stdout is not None
        assert held.stdout.readline() == "held\n"
        Timer(0.5, held.kill).start()
    # The lock is free only when the process has ended.
    assert held.wait(0.5) < 0
    held.communicate()


def test_the_driver_waits_for_nobody_where_there_are_no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it waited"))
    with awaited_workers():
        pass
