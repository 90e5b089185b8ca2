"""kill -9 of the driver, of workers and of the broker, under a load with swaps, for the Spark jobs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from model_serving.client.broker.embedded import EmbeddedBroker, Retention
from model_serving.messaging.connection import connect
from model_serving.protos.modelstatus_pb2 import ModelStatus
from tests.faults.drill import Drill
from tests.faults.kills import broker_process, kill_now, marked
from tests.faults.numbered_load import STEADY, NumberedLoad, numbered_model
from tests.job_serving import fresh_topics, widen
from tests.job_traffic import Traffic
from tests.jobs import SparkRun, eventually, job_flags
from tests.patience import patience
from tests.result_sources import assert_results_name_their_records

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

_ASKED = os.environ.get("MODEL_SERVING_SPARK_FAULTS")
"""Each job and each fault takes a minute or so, so the suite strikes one job with one task, not its broker.
MODEL_SERVING_SPARK_FAULTS=spark-keyed,spark-broadcast strikes both jobs, with two tasks each, and their
broker too."""

TASKS = 1 if _ASKED is None else 2
"""Tasks of each job, and partitions of its data topic."""

STRUCK = (_ASKED or "spark-keyed").split(",")

KEY = b"a key of at least sixteen bytes"
UNSIGNED = "the model message is not signed: publish it with --model-key-file"


class Restarted:
    """A Spark job that is started again with the same flags, and so goes on from its checkpoint.

    It takes signed models only.
    """

    def __init__(self, variant: str, broker: EmbeddedBroker, folder: Path) -> None:
        self.topics = fresh_topics(broker)
        if TASKS > 1:
            widen(broker, self.topics.data, TASKS)
        self._variant, self._folder = variant, folder
        keys = folder / "keys"
        keys.write_text(KEY.hex() + "\n")
        self._flags = [
            *job_flags(broker.bootstrap_servers, self.topics, folder / "checkpoints", self.topics.models),
            *("--model-key-file", str(keys), "--parallelism", str(TASKS)),
        ]
        self._starts = 0
        self.run: SparkRun | None = None

    def start(self) -> None:
        self._starts += 1
        run = SparkRun(self._variant, self._flags, self._folder / f"job-{self._starts}.log")
        run.__enter__()
        self.run = run

    def kill_driver(self) -> None:
        """Kills the Python process alone: Java and the workers must not outlive it."""
        assert self.run is not None
        run, self.run = self.run, None
        kill_now(psutil.Process(run.process.pid))
        run.process.wait()
        eventually(lambda: not run.left_over(), lambda: str(run.left_over()), within_s=60)

    def kill_workers(self) -> None:
        """Kills every process that runs tasks, and leaves the one that starts them."""
        assert self.run is not None
        workers = _workers(self.run.mark)
        assert workers, "no worker runs"
        kill_now(*workers)

    def flags_with(self, *more: str) -> list[str]:
        return [*self._flags, *more]

    def check(self) -> None:
        if self.run is not None:
            self.run.check()

    def stop(self, kind: type[BaseException] | None = None) -> None:
        if self.run is not None:
            self.run.__exit__(kind, None, None)


@contextmanager
def restarted(variant: str, broker: EmbeddedBroker, folder: Path) -> Iterator[Restarted]:
    """A running job, which must end well at the end."""
    job = Restarted(variant, broker, folder)
    job.start()
    try:
        yield job
    except BaseException as error:
        job.stop(type(error))
        raise
    job.stop()


def _workers(mark: str) -> list[psutil.Process]:
    """The processes that Spark's Python daemon has made."""
    found = []
    for process in marked(mark):
        with suppress(psutil.Error):
            parent = process.parent()
            if parent is not None and _is_python(process) and process.cmdline() == parent.cmdline():
                found.append(process)
    return found


def _is_python(process: psutil.Process) -> bool:
    command = process.cmdline()  # empty for a process that has just ended
    return bool(command) and "python" in Path(command[0]).name


@pytest.fixture
def kafka(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EmbeddedBroker]:
    """A broker that may be killed, where that was asked for."""
    if _ASKED is None:
        yield request.getfixturevalue("broker")
        return
    with EmbeddedBroker(folder=tmp_path / "kafka", retention=Retention.KEEP) as mortal:
        yield mortal


@pytest.mark.parametrize("variant", STRUCK)
def test_killed_workers_driver_and_broker_lose_nothing(
    variant: str, kafka: EmbeddedBroker, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """The models serve again without being published, and what the models wait for is not forgotten."""
    with (
        restarted(variant, kafka, tmp_path) as job,
        Traffic(variant, kafka.bootstrap_servers, job.topics, job.check, key=KEY) as traffic,
        NumberedLoad(traffic) as load,
    ):
        drill = Drill(traffic, load, None, exactly_once=False)

        def killed_and_started() -> None:
            job.kill_driver()
            if variant == "spark-keyed":
                _refuses_another_topic(job, kafka, tmp_path)
            job.start()

        def broker_returns() -> None:
            kill_now(broker_process(kafka))
            kafka.stop()
            kafka.start()

        faults = {"the workers": job.kill_workers, "the driver": killed_and_started}
        if _ASKED is not None:
            faults["the broker"] = broker_returns
        for name, fault in faults.items():
            took_s = drill.strike(f"kill -9 of {name}", fault)
            record_property(f"recovery in s: kill -9 of {name}, {variant}", round(took_s, 1))
            print(f"\nkill -9 of {name}, {variant}: back after {took_s:.1f} s")
        unsigned = numbered_model(STEADY, 2).SerializeToString()
        traffic.offer(unsigned)
        print(drill.verdict(poison=[unsigned]))
        # Nothing in a message without a signature is believed, its data type neither.
        eventually(lambda: bool(traffic.statuses[""]), lambda: "no status of the unsigned model", within_s=60)
        assert {(one.state, one.detail) for one in traffic.statuses[""]} == {(ModelStatus.REJECTED, UNSIGNED)}
    by_partition = assert_results_name_their_records(kafka, job.topics)
    assert set(by_partition) == set(range(TASKS))


def _refuses_another_topic(job: Restarted, broker: EmbeddedBroker, folder: Path) -> None:
    """A start with other topics leaves the checkpoint as it is, and creates no topic."""
    log = folder / "refused.log"
    wrong = f"{job.topics.data}-other"
    other = SparkRun("spark-keyed", job.flags_with("--data-topic", wrong), log)
    with pytest.raises(AssertionError, match=f"it was made with --data-topic {job.topics.data}: give this"):
        other.__enter__()
    assert other.process.returncode == 1
    assert wrong not in connect(broker.kafka).list_topics(timeout=patience(10)).topics
