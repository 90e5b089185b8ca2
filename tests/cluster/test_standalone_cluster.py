"""The jobs on a real cluster, submitted as a user does: detached and attached, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from model_serving.client.broker.embedded import EmbeddedBroker
from tests.faults.drill import Drill
from tests.faults.kills import kill_now, marked
from tests.faults.numbered_load import NumberedLoad
from tests.job_models import SAMPLES, Sample, sample_records
from tests.job_serving import fresh_topics
from tests.job_traffic import Traffic
from tests.jobs import FlinkRun, eventually, job_flags, run_flink
from tests.producers import CODECS, send_compressed
from tests.standalone_cluster import Cluster

pytestmark = pytest.mark.cluster


def serves(job: Traffic, samples: Mapping[str, Sample]) -> None:
    """Checks that each model is loaded and gives the right results."""
    for key, sample in samples.items():
        job.serve(sample.message(key))
        job.send(*sample_records(key, len(sample.expected)))
        results = sorted(job.await_results(key, len(sample.expected)), key=lambda one: one.submissionTs)
        assert [one.result for one in results] == pytest.approx(
            sample.expected, abs=sample.tolerance, rel=0
        ), key
    job.await_all_accounted()


@pytest.mark.parametrize("turn", [1, 2])
def test_a_detached_job_in_thread_mode(
    cluster: Cluster, broker: EmbeddedBroker, tmp_path: Path, turn: int
) -> None:
    """The second one meets a TaskManager that has Python in its JVM already.

    It also meets the native libraries that unpack batches, which can be loaded once in a JVM.
    """
    topics = fresh_topics(broker)
    flags = job_flags(broker.bootstrap_servers, topics, tmp_path, f"{topics.models}-{turn}")
    send_compressed(broker, topics)
    job_id = cluster.submit("keyed", [*flags, "--execution-mode", "thread", "--parallelism", "2"])

    with Traffic("keyed", broker.bootstrap_servers, topics, lambda: cluster.check(job_id)) as traffic:
        for codec in CODECS:
            traffic.await_results(codec, 20)
        traffic.sent.update({topics.models: len(CODECS), topics.data: 20 * len(CODECS)})
        serves(traffic, SAMPLES)
    if turn == 1:
        listed = run_flink(["list"], within_s=60, environ=cluster.environ)
        assert job_id in listed.stdout, listed.stderr
    cluster.end(job_id)


def test_an_attached_job_in_worker_processes(
    cluster: Cluster, broker: EmbeddedBroker, tmp_path: Path
) -> None:
    """TensorFlow in worker processes is in ``kafka/test_jobs_modes``."""
    topics = fresh_topics(broker)
    flags = job_flags(broker.bootstrap_servers, topics, tmp_path / "checkpoints", topics.models)
    samples = {key: sample for key, sample in SAMPLES.items() if not sample.kind.startswith("TENSORFLOW")}
    with (
        FlinkRun(
            "broadcast",
            [*flags, "--execution-mode", "process"],
            tmp_path / "job.log",
            environ=cluster.environ,
        ) as job,
        Traffic("broadcast", broker.bootstrap_servers, topics, job.check) as traffic,
    ):
        serves(traffic, samples)
        job_id = job.job_id()
        # Stopping the client leaves the job to its cluster, and says so.
        assert job.stop() == 0
        assert job.printed().splitlines()[-1] == (
            f"broadcast.py: job {job_id} still runs on its cluster; flink cancel ends it"
        )
        assert cluster.state_of(job_id) == "RUNNING"
    cluster.cancel(job_id)
    eventually(lambda: cluster.state_of(job_id) == "CANCELED", lambda: cluster.state_of(job_id), within_s=30)


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_a_killed_task_manager(
    cluster: Cluster,
    broker: EmbeddedBroker,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """After kill -9 under load the job goes on, on the TaskManager that is left.

    The keyed job, exactly once: see ``faults/test_crashes`` for why this one. It is the last test of this
    cluster, because it leaves another TaskManager.
    """
    topics, checkpoints = fresh_topics(broker), tmp_path / "checkpoints"
    flags = [
        *job_flags(broker.bootstrap_servers, topics, checkpoints, topics.models),
        *("--checkpoint-interval-ms", "1000"),
        *("--delivery", "exactly-once"),
    ]
    with (
        FlinkRun("keyed", flags, tmp_path / "job.log", environ=cluster.environ) as job,
        Traffic("keyed", broker.bootstrap_servers, topics, job.check) as traffic,
        NumberedLoad(traffic) as load,
    ):
        drill = Drill(traffic, load, checkpoints, exactly_once=True)
        # All of the job is on the first one, because there was no other.
        (victim,) = (one for one in marked(cluster.mark) if "TaskManagerRunner" in " ".join(one.cmdline()))
        cluster.script("taskmanager.sh", "start")
        eventually(lambda: cluster.task_managers() == 2, cluster.logs, within_s=180)
        took_s = drill.strike("TaskManager", lambda: kill_now(victim))
        record_property("recovery in s: TaskManager, keyed, exactly-once", round(took_s, 1))
        print(f"\nkill -9 of TaskManager, keyed, exactly-once: back after {took_s:.1f} s")
        print(drill.verdict())
        job_id = job.job_id()
    cluster.end(job_id)
