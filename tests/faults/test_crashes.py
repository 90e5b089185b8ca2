"""kill -9, in the middle of a load with swaps, of each process that a job is made of, and what is left of it.

Not every fault meets every variant with every delivery, because starting a job takes longer than what is
proved with it. The broadcast job loses its Python workers at least once, and its broker and then all of
itself exactly once. What recovery rests on (state, offsets, transactions) is the same in both deliveries, and
exactly once is the harder promise. The broadcast job holds the keyed one's operator: records wait in it.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from model_serving.client.broker.embedded import EmbeddedBroker, Retention
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.modelstatus_pb2 import ModelStatus
from tests.faults.drill import Drill
from tests.faults.injection import Fault
from tests.faults.kills import broker_process, kill_now, marked, worker_processes
from tests.faults.numbered_load import STEADY, NumberedLoad, numbered_record
from tests.job_models import constant_pmml
from tests.job_serving import fresh_topics
from tests.job_traffic import Traffic
from tests.jobs import FlinkRun, job_flags, launcher_from
from tests.slow_store import slow_store

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

EVERY_S = ("--checkpoint-interval-ms", "1000")
LOADING = [f"loads {number}" for number in range(10)]


def test_a_killed_python_worker(
    broker: EmbeddedBroker, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Models that are being loaded meanwhile are in the checkpoint, with the timers that look after them."""
    topics = fresh_topics(broker)
    flags = job_flags(broker.bootstrap_servers, topics, tmp_path / "checkpoints", topics.models)
    with (
        slow_store(constant_pmml(1)) as store,
        FlinkRun(
            "broadcast",
            [*flags, *EVERY_S, "--execution-mode", "process"],
            tmp_path / "job.log",
            # Without it a local job runs its Python code in the client.
            environ={"_python_worker_execution_mode": "process"},
        ) as job,
        Traffic("broadcast", broker.bootstrap_servers, topics, job.check) as traffic,
        NumberedLoad(traffic) as load,
    ):
        drill = Drill(traffic, load, tmp_path / "checkpoints", exactly_once=False)
        workers = worker_processes(job.mark)
        assert workers, marked(job.mark)
        for data_type in LOADING:
            traffic.offer_later(
                ModelDescriptor(
                    name="m", dataType=data_type, modeltype="PMML", version="v1", location=store.location
                )
            )
        traffic.flush()
        assert store.asked.wait(30)

        def workers_die_and_the_store_answers() -> None:
            kill_now(*workers)
            store.answer.set()

        took_s = drill.strike("workers", workers_die_and_the_store_answers)
        _report(record_property, "Python workers, broadcast, at-least-once", took_s)
        for data_type in LOADING:
            status = traffic.await_statuses(data_type, 1)[-1]
            assert (status.state, status.version) == (ModelStatus.ACTIVE, "v1"), status
        print(drill.verdict())
        # The user saw it.
        assert re.search(
            r"^broadcast\.py: the job failed and restarts \(from its last checkpoint\): \S.*$",
            job.printed(),
            re.MULTILINE,
        ), job.printed()


def test_a_killed_broker_then_a_killed_run_then_a_fault_that_stays(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """One load through three faults, and one multiset in the end."""
    checkpoints = tmp_path / "checkpoints"
    fault = Fault("model_serving.core.scoring.server:Server.serve", tmp_path)
    with EmbeddedBroker(folder=tmp_path / "kafka", retention=Retention.KEEP) as broker:
        topics = fresh_topics(broker)
        flags = [
            *job_flags(broker.bootstrap_servers, topics, checkpoints, topics.models),
            *EVERY_S,
            *("--delivery", "exactly-once", "--restart-attempts", "2"),
        ]
        with ExitStack() as to_close:
            first = to_close.enter_context(
                FlinkRun("broadcast", flags, tmp_path / "first.log", environ=fault.environ)
            )
            running = [first]

            def check() -> None:
                running[-1].check()

            traffic = to_close.enter_context(Traffic("broadcast", broker.bootstrap_servers, topics, check))
            load = to_close.enter_context(NumberedLoad(traffic))
            drill = Drill(traffic, load, checkpoints, exactly_once=True)

            def broker_dies_and_returns() -> None:
                kill_now(broker_process(broker))
                broker.stop()
                broker.start()

            took_s = drill.strike("broker", broker_dies_and_returns)
            _report(record_property, "broker, broadcast, exactly-once", took_s)

            def run_dies_and_is_restored() -> None:
                kill_now(*marked(first.mark))
                found = model_serving("checkpoints", "--checkpoint-dir", str(checkpoints), "--last")
                running.append(
                    to_close.enter_context(
                        FlinkRun(
                            "broadcast",
                            flags,
                            tmp_path / "second.log",
                            environ=fault.environ,
                            launcher=launcher_from(found.strip()),
                        )
                    )
                )

            took_s = drill.strike("whole run", run_dies_and_is_restored)
            _report(record_property, "flink run, broadcast, exactly-once", took_s)
            result = drill.verdict()
            print(result)

            _, second = running
            fault.switch_on()
            traffic.stream(numbered_record(STEADY, load.sent[STEADY] + 1))
            struck_s = time.monotonic()
            assert second.await_end(within_s=90) != 0
            took_s = time.monotonic() - struck_s
            record_property("end in s: a fault that stays, 2 restarts", round(took_s, 1))
            print(f"\na fault that stays: given up after 2 restarts and {took_s:.1f} s")
            # Two restarts, the way back, the end: each one line with the cause, and no stack trace.
            failed = f"broadcast.py: the job failed and restarts (from its last checkpoint): {fault.says}"
            lines = second.printed().splitlines()[-4:]
            assert lines[:2] == [failed, failed]
            assert re.fullmatch(
                r"broadcast\.py: to go on from the last checkpoint, once the cause is mended: "
                r"flink run -s \S+/chk-\d+ -py \S*flink_jobs/broadcast\.py .*--delivery exactly-once.*",
                lines[2],
            ), lines
            assert lines[3] == f"broadcast.py: {fault.says}"


def model_serving(*arguments: str) -> str:
    """What a command of the client prints."""
    return subprocess.run(
        [Path(sys.prefix) / "bin" / "model-serving", *arguments],
        capture_output=True, text=True, timeout=30, check=True,
    ).stdout  # fmt: skip


def _report(record_property: Callable[[str, object], None], what: str, took_s: float) -> None:
    record_property(f"recovery in s: {what}", round(took_s, 1))
    print(f"\nkill -9 of {what}: back after {took_s:.1f} s")
