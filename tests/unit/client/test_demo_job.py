"""What the demo starts: each job with the demo's topics, and nothing of it left afterwards."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from flink_jobs.config import parse_config as parse_job
from model_serving.client.demo.job import JOBS, SERVER, SPARK_JOBS, job_command, run_job
from model_serving.client.errors import ClientError
from model_serving.flags import ServingConfig
from model_serving.messaging.topics import TopicNames
from model_serving.runtime.flink_args import read_call
from model_serving.server.config import parse_config as parse_server
from model_serving.spark.config import Variant
from model_serving.spark.config import parse_config as parse_spark
from model_serving.spark.submit import read_call as read_submit
from tests.jobs import ROOT, eventually

TOPICS = TopicNames("m", "d", "r", "l", "s", "t")


@pytest.mark.parametrize("job", JOBS)
def test_each_job_gets_the_topics_and_kafka_of_the_demo(job: str, tmp_path: Path) -> None:
    command = job_command(job, "host:1", TOPICS, tmp_path)
    if job == SERVER:
        assert command[:4] == [sys.executable, "-m", "model_serving.client.cli", "run"]
        config: ServingConfig = parse_server(command[4:], {})
    elif job in SPARK_JOBS:
        spark = read_submit(command[1:])
        assert spark.is_job_of(ROOT)
        config = parse_spark(spark.arguments, {}, Variant(SPARK_JOBS[job]))
        assert config.checkpoint_dir == tmp_path.as_uri()
    else:
        call = read_call(command[1:], {}, project=Path(command[3]).parents[1]).job
        assert call is not None
        assert call.path.name == f"{job}.py"
        config = flink = parse_job(call.arguments, {}, job)
        assert flink.checkpoint_dir == tmp_path.as_uri()
    assert config.topic_names == TOPICS
    assert config.bootstrap_servers == "host:1"


def test_the_server_needs_no_java_and_no_flink(tmp_path: Path) -> None:
    words = " ".join(job_command(SERVER, "host:1", TOPICS, tmp_path))
    assert "flink" not in words.replace(sys.executable, "")


def test_a_job_that_has_ended_is_reported_with_its_log(tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    command = [sys.executable, "-c", "import sys; print('why'); sys.exit(3)"]
    with run_job(command, log) as running:
        eventually(lambda: running.process.exit_status is not None, log.read_text, within_s=30)
        with pytest.raises(ClientError, match=rf"exit status 3\): {log} says why"):
            running.check()
    assert log.read_text() == "why\n"
