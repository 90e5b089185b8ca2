"""How the jobs begin and end on the command line: errors of one line, signals, and nothing left behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from client.broker import EmbeddedBroker
from client.ports import free_port
from tests.job_models import constant_pmml, sample_records
from tests.job_traffic import Traffic
from tests.jobs import ROOT, VARIANTS, FlinkRun, eventually, job_flags, run_flink
from tests.kafka.job_serving import fresh_topics
from protos.modeldescriptor_pb2 import ModelDescriptor

pytestmark = pytest.mark.kafka

DELIVERY = "{}.py: --delivery: 'twice' is not one of: at-least-once, exactly-once"


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_wrong_flag_is_one_line(variant: str) -> None:
    done = run_flink(["run", "-py", f"flink_jobs/{variant}.py", "--delivery", "twice"], within_s=15)
    assert (done.returncode, done.stdout, done.stderr.splitlines()) == (2, "", [DELIVERY.format(variant)])


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_wrong_flag_of_the_script_alone_is_one_line_and_quick(variant: str) -> None:
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, f"flink_jobs/{variant}.py", "--delivery", "twice"],
        cwd=ROOT, capture_output=True, text=True, timeout=15,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr.splitlines()) == (2, "", [DELIVERY.format(variant)])
    assert time.monotonic() - start < 3


@pytest.mark.parametrize(
    "launcher", [[], [sys.executable]], ids=["flink run", "script alone"]
)
def test_no_broker_is_one_line(launcher: list[str]) -> None:
    address = f"127.0.0.1:{free_port()}"
    arguments = ["flink_jobs/keyed.py", "--bootstrap-servers", address]
    start = time.monotonic()
    if launcher:
        done = subprocess.run([*launcher, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=30)
    else:
        done = run_flink(["run", "-py", *arguments], within_s=30)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"keyed.py: no Kafka broker answers at {address}")
    assert time.monotonic() - start < 15


def test_ctrl_c_ends_a_job_that_was_started_without_the_flink_command(broker: EmbeddedBroker, tmp_path: Path) -> None:
    topics = fresh_topics(broker)
    flags = job_flags(broker.bootstrap_servers, topics, tmp_path / "checkpoints", topics.models)
    with (
        FlinkRun("keyed", flags, tmp_path / "job.log", launcher=[sys.executable]) as job,
        Traffic("keyed", broker.bootstrap_servers, topics, job.check) as traffic,
    ):
        traffic.serve(ModelDescriptor(name="m", dataType="d", modeltype="PMML", data=constant_pmml(1)))
        traffic.send(*sample_records("d", 3))
        traffic.await_results("d", 3)
        assert job.stop(signal.SIGINT) == 0
        assert job.printed().splitlines()[-1] == "keyed.py: stopped"
        # Java notices the end of the script by itself.
        eventually(lambda: job.left_over() == [], lambda: f"still there: {job.left_over()}", within_s=15)


def test_a_killed_flink_command_takes_everything_with_it(broker: EmbeddedBroker, tmp_path: Path) -> None:
    topics = fresh_topics(broker)
    flags = job_flags(broker.bootstrap_servers, topics, tmp_path / "checkpoints", topics.models)
    with FlinkRun("broadcast", flags, tmp_path / "job.log") as job:
        job.process.kill()
        assert job.await_end(within_s=10) == -signal.SIGKILL
        eventually(lambda: job.left_over() == [], lambda: f"still there: {job.left_over()}", within_s=30)
