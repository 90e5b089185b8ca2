"""kill -9 of Python's worker processes, in the middle of a load with swaps.

Not every fault meets every variant with every delivery, because starting a job takes longer than what is
proved with it. The broadcast job loses its Python workers here at least once; its broker and then all of
itself exactly once in test_chaos. The keyed job loses a TaskManager in cluster/test_standalone_cluster. What
recovery rests on (state, offsets, transactions) is the same in both deliveries, and exactly once is the
harder promise. The broadcast job holds the keyed one's operator: records wait in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.modelstatus_pb2 import ModelStatus
from tests.faults.drill import Drill
from tests.faults.kills import kill_now, marked, worker_processes
from tests.faults.numbered_load import NumberedLoad
from tests.job_models import constant_pmml
from tests.job_serving import fresh_topics
from tests.job_traffic import Traffic
from tests.jobs import FlinkRun, job_flags
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


def _report(record_property: Callable[[str, object], None], what: str, took_s: float) -> None:
    record_property(f"recovery in s: {what}", round(took_s, 1))
    print(f"\nkill -9 of {what}: back after {took_s:.1f} s")
