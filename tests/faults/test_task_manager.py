"""kill -9 of a TaskManager of a standalone cluster: the job goes on, on the one that is left.

The keyed job, exactly once: see test_crashes for why this one.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from model_serving.client.broker.embedded import EmbeddedBroker
from tests.faults.drill import Drill
from tests.faults.kills import kill_now, marked
from tests.faults.numbered_load import NumberedLoad
from tests.job_serving import fresh_topics
from tests.job_traffic import Traffic
from tests.jobs import FlinkRun, eventually, job_flags
from tests.standalone_cluster import Cluster, standalone_cluster

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]


def test_a_killed_task_manager(
    broker: EmbeddedBroker, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    topics = fresh_topics(broker)
    checkpoints, folder = tmp_path / "checkpoints", tmp_path / "cluster"
    folder.mkdir()
    flags = [
        *job_flags(broker.bootstrap_servers, topics, checkpoints, topics.models),
        *("--checkpoint-interval-ms", "1000"),
        *("--delivery", "exactly-once"),
    ]
    with standalone_cluster(folder, {"taskmanager.numberOfTaskSlots": "1"}) as cluster:
        with (
            FlinkRun("keyed", flags, tmp_path / "job.log", environ=cluster.environ) as job,
            Traffic("keyed", broker.bootstrap_servers, topics, job.check) as traffic,
            NumberedLoad(traffic) as load,
        ):
            drill = Drill(traffic, load, checkpoints, exactly_once=True)
            (victim,) = _task_managers(cluster)
            # All of the job is on the first one, which had the only slot that there was.
            cluster.script("taskmanager.sh", "start")
            eventually(lambda: cluster.task_managers() == 2, cluster.logs, within_s=180)
            took_s = drill.strike("TaskManager", lambda: kill_now(victim))
            record_property("recovery in s: TaskManager, keyed, exactly-once", round(took_s, 1))
            print(f"\nkill -9 of TaskManager, keyed, exactly-once: back after {took_s:.1f} s")
            print(drill.verdict())
            job_id = job.job_id()
        cluster.cancel(job_id)


def _task_managers(cluster: Cluster) -> list[psutil.Process]:
    return [one for one in marked(cluster.mark) if "TaskManagerRunner" in " ".join(one.cmdline())]
