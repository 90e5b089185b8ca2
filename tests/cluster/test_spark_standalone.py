"""Both Spark jobs on a standalone cluster of Spark: a master and a worker, each a process of its own.

They are submitted as docs/deployment.md says. This takes a minute or two, so it is not part of all tests:
MODEL_SERVING_SPARK_CLUSTER=1 runs it.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.client.ports import free_port
from model_serving.runtime.java import find_java
from tests.faults.kills import kill_now, marked
from tests.job_models import SAMPLES, sample_records
from tests.job_serving import fresh_topics
from tests.job_traffic import Traffic
from tests.jobs import (
    MARK,
    ROOT,
    SPARK_SUBMIT,
    SPARK_VARIANTS,
    SparkRun,
    ends_with_this_process,
    eventually,
    job_flags,
)

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        os.environ.get("MODEL_SERVING_SPARK_CLUSTER") != "1",
        reason="takes a minute or two: MODEL_SERVING_SPARK_CLUSTER=1 runs it",
    ),
]

_LOOPBACK = "127.0.0.1"


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a master that has one worker."""
    folder, mark = tmp_path_factory.mktemp("spark"), uuid4().hex
    url = f"spark://{_LOOPBACK}:{free_port()}"
    (spark_class,) = SPARK_SUBMIT.parents[1].glob("lib/python*/site-packages/pyspark/bin/spark-class")
    launcher = SPARK_SUBMIT.parents[1] / "share" / "model-serving" / "java"
    environ = {
        **os.environ,
        MARK: mark,
        "JAVA_HOME": str(launcher if launcher.is_dir() else find_java(os.environ, newer=True).home),
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_LOCAL_IP": _LOOPBACK,
    }
    own = ["--host", _LOOPBACK, "--webui-port", str(free_port())]
    work = ["--cores", "2", "--memory", "1g", "--work-dir", str(folder / "work"), url]
    calls = {
        "Master": ([*own, "--port", url.rpartition(":")[2]], "elected leader"),
        "Worker": ([*own, *work], "Successfully registered with master"),
    }
    try:
        for name, (arguments, ready) in calls.items():
            log = folder / f"{name}.log"
            with log.open("wb") as output:
                process = subprocess.Popen(
                    [spark_class, f"org.apache.spark.deploy.{name.lower()}.{name}", *arguments],
                    env=environ,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    preexec_fn=ends_with_this_process(),  # noqa: PLW1509 - it makes one system call
                )
            eventually(
                lambda log=log, ready=ready, process=process: (  # type: ignore[misc]
                    ready in log.read_text() or process.poll() is not None
                ),
                lambda log=log: log.read_text()[-4000:],  # type: ignore[misc]
                within_s=120,
            )
            assert ready in log.read_text(), log.read_text()[-4000:]
        yield url
    finally:
        kill_now(*marked(mark))


@pytest.mark.parametrize("variant", SPARK_VARIANTS)
def test_a_submitted_job_serves_on_the_worker(
    variant: str, broker: EmbeddedBroker, master: str, tmp_path: Path
) -> None:
    topics = fresh_topics(broker)
    flags = job_flags(broker.bootstrap_servers, topics, tmp_path / "checkpoints", topics.models)
    options = ["--master", master, "--executor-memory", "512m"]
    # The environment has this project as it was installed, the test has this tree.
    options += ["--conf", f"spark.executorEnv.PYTHONPATH={ROOT}"]
    run = SparkRun(
        variant, flags, tmp_path / "job.log", environ={"SPARK_LOCAL_IP": _LOOPBACK}, options=options
    )
    with run as job, Traffic(variant, broker.bootstrap_servers, topics, job.check) as traffic:
        sample = next(one for name, one in SAMPLES.items() if "glm" in name)
        traffic.serve(sample.message("wine"))
        traffic.send(*sample_records("wine", len(sample.expected)))
        results = traffic.await_results("wine", len(sample.expected))
        assert [one.result for one in results] == pytest.approx(sample.expected, abs=sample.tolerance)
        # Spark names an application of a standalone cluster by the time of its start.
        assert re.search(r"^\w+\.py: job app-\d+-\d+ runs$", job.printed(), re.MULTILINE), job.printed()
