"""The start and the end of jobs on the command line: errors of one line, signals, locales, processes."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.client.ports import free_port
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from tests.job_models import SAMPLES, sample_records
from tests.job_serving import fresh_topics
from tests.job_traffic import Traffic
from tests.jobs import FRESH, ROOT, VARIANTS, FlinkRun, eventually, job_flags, run_flink
from tests.patience import patience

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
        cwd=ROOT, capture_output=True, text=True, timeout=patience(15),
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr.splitlines()) == (2, "", [DELIVERY.format(variant)])
    assert time.monotonic() - start < patience(3)


@pytest.mark.parametrize("launcher", [[], [sys.executable]], ids=["flink run", "script alone"])
def test_no_broker_is_one_line(launcher: list[str]) -> None:
    address = f"127.0.0.1:{free_port()}"
    arguments = ["flink_jobs/keyed.py", "--bootstrap-servers", address]
    start = time.monotonic()
    if launcher:
        done = subprocess.run(
            [*launcher, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=patience(30)
        )
    else:
        done = run_flink(["run", "-py", *arguments], within_s=30)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"keyed.py: no Kafka broker answers at {address}")
    assert time.monotonic() - start < patience(15)


TURKISH = {
    # In Turkish the capital of i is İ.
    "JVM_ARGS": f"{os.environ['JVM_ARGS']} -Duser.language=tr -Duser.country=TR",
    "LANG": "tr_TR.UTF-8",
    # In this locale there is no ü.
    "LC_ALL": "C",
    "PATH": f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ['PATH']}",
}
"""A machine that speaks another language."""


@pytest.mark.parametrize(
    ("variant", "launcher", "newer"),
    [("keyed", [sys.executable], "onnx-regression"), ("broadcast", FRESH, "saved-model")],
)
def test_a_stopped_job_goes_on_anywhere_where_it_was_and_a_killed_one_leaves_nothing(
    broker: EmbeddedBroker, tmp_path: Path, variant: str, launcher: list[str], newer: str
) -> None:
    """SIGINT leaves a savepoint: models, versions to go back to, waiting records and offsets.

    All of it on a machine with another locale, with checkpoints in a folder whose name has a space and a
    letter beyond ASCII (as a path, and as a URI), and by the command that the stopped job prints. What holds
    there holds with plain names too, which the other tests use. The ways to start a job and the engines do
    not depend on the variant, so each variant has one of them.
    """
    topics = fresh_topics(broker)
    folder = tmp_path / "chk tr ü"
    flags = job_flags(broker.bootstrap_servers, topics, folder, topics.models)
    if variant == "keyed":
        flags[-1] = f"file://{folder}"
    with (
        FlinkRun(variant, flags, tmp_path / "first.log", environ=TURKISH, launcher=launcher) as first,
        Traffic(variant, broker.bootstrap_servers, topics, first.check) as traffic,
    ):
        old = traffic.serve(SAMPLES["glm"].message("stays")).version
        new = traffic.serve(SAMPLES[newer].message("stays")).version
        traffic.send(*sample_records("stays", 5))
        traffic.await_results("stays", 5)
        traffic.send(*sample_records("waits", 5))
        # Behind the ones that wait, so that those have been read when this one is scored.
        traffic.send(*sample_records("stays", 1, first_ts=6))
        traffic.await_results("stays", 6)
        assert first.stop(signal.SIGINT) == 0
        assert first.printed().splitlines()[-1] == f"{variant}.py: stopped"
        events = re.findall(r"^\d\d:\d\d:\d\d model-serving: (.*) is active", first.printed(), re.MULTILINE)
        assert [event.split()[-1] for event in events] == [old, new]
        # Without the flink command it is Java that notices the end of the script, a moment later.
        eventually(lambda: first.left_over() == [], lambda: f"left: {first.left_over()}", within_s=15)
    pasted = _printed_command(variant, first, flags, folder)
    with Traffic(variant, broker.bootstrap_servers, topics, lambda: None) as traffic:
        traffic.send(*sample_records("stays", 1, first_ts=7))
    with (
        # What comes after a shell's command are its parameters, which this command does not look at.
        FlinkRun(
            variant, [], tmp_path / "second.log", environ=TURKISH, launcher=["bash", "-c", f"exec {pasted}"]
        ) as second,
        Traffic(variant, broker.bootstrap_servers, topics, second.check) as traffic,
    ):
        results = traffic.await_results("stays", 7)
        assert [(one.submissionTs, one.version) for one in results] == [(ts, new) for ts in range(1, 8)]
        traffic.offer(ModelDescriptor(dataType="stays", command="ROLLBACK"))
        assert traffic.await_statuses("stays", 3)[-1].version == old
        traffic.serve(SAMPLES["glm"].message("waits"))
        results = traffic.await_results("waits", 5)
        assert [one.submissionTs for one in results] == [1, 2, 3, 4, 5]
        assert traffic.letters == []
        second.process.kill()
        assert second.await_end(within_s=10) == -signal.SIGKILL
        eventually(lambda: second.left_over() == [], lambda: f"left: {second.left_over()}", within_s=30)


def _printed_command(variant: str, stopped: FlinkRun, flags: list[str], folder: Path) -> str:
    """Returns the command that a stopped job prints. `model-serving checkpoints` must find its savepoint."""
    found = re.search(rf"^{variant}\.py: to go on from here: (.*)$", stopped.printed(), re.MULTILINE)
    assert found is not None, stopped.printed()
    command = shlex.split(found[1])
    assert command[:3] == ["flink", "run", "-s"]
    assert command[4:] == ["-py", command[5], *flags]
    assert Path(command[3].removeprefix("file:")).parent == folder
    last = subprocess.run(
        ["model-serving", "checkpoints", "--last", "--checkpoint-dir", flags[-1]],
        env={**os.environ, **TURKISH}, capture_output=True, text=True, check=True, timeout=patience(60),
    ).stdout  # fmt: skip
    assert last.strip().removeprefix("file://") == command[3].removeprefix("file:")
    return found[1]
