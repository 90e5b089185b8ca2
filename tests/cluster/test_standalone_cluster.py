"""The jobs on a real cluster, submitted as a user does: detached and attached, one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from model_serving.client.broker.embedded import EmbeddedBroker
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
    listed = run_flink(["list"], within_s=60, environ=cluster.environ)
    assert job_id in listed.stdout, listed.stderr
    cluster.cancel(job_id)
    eventually(lambda: cluster.state_of(job_id) == "CANCELED", lambda: cluster.state_of(job_id), within_s=30)


def test_an_attached_job_in_worker_processes(
    cluster: Cluster, broker: EmbeddedBroker, tmp_path: Path
) -> None:
    """TensorFlow in worker processes is in ``minicluster/test_topologies``."""
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
