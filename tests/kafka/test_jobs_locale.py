"""Machines that speak another language, and folders with names that a shell and a locale may not take."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from model_serving.client.broker.embedded import EmbeddedBroker
from tests.job_models import constant_model, sample_records
from tests.job_serving import fresh_topics
from tests.job_traffic import Traffic
from tests.jobs import FRESH, VARIANTS, FlinkRun, eventually, job_flags

pytestmark = pytest.mark.kafka

TURKISH = {
    # In Turkish the capital of i is İ.
    "JVM_ARGS": "-XX:TieredStopAtLevel=1 -Duser.language=tr -Duser.country=TR",
    "LANG": "tr_TR.UTF-8",
    # In this locale there is no ü.
    "LC_ALL": "C",
    "PATH": f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ['PATH']}",
}
LAUNCHERS = {"keyed": FRESH, "broadcast": [sys.executable]}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_job_runs_anywhere_and_the_command_it_prints_goes_on(
    variant: str, broker: EmbeddedBroker, tmp_path: Path
) -> None:
    """The folder of the checkpoints has a space and a letter beyond ASCII: as a path, and as a URI."""
    topics = fresh_topics(broker)
    folder = tmp_path / "chk tr ü"
    flags = job_flags(broker.bootstrap_servers, topics, folder, topics.models)
    if variant == "broadcast":
        flags[-1] = f"file://{folder}"
    with (
        FlinkRun(
            variant, flags, tmp_path / "first.log", environ=TURKISH, launcher=LAUNCHERS[variant]
        ) as first,
        Traffic(variant, broker.bootstrap_servers, topics, first.check) as traffic,
    ):
        traffic.serve(constant_model("wine", 1.0))
        traffic.send(*sample_records("wine", 5))
        traffic.await_results("wine", 5)
        assert first.stop() == 0
        # Without the flink command it is Java that notices the end of the script, a moment later.
        eventually(lambda: first.left_over() == [], lambda: f"left: {first.left_over()}", within_s=15)
    found = re.search(rf"^{variant}\.py: to go on from here: (.*)$", first.printed(), re.MULTILINE)
    assert found is not None, first.printed()
    command = shlex.split(found[1])
    assert command[:3] == ["flink", "run", "-s"]
    assert command[4:] == ["-py", command[5], *flags]
    assert Path(command[3].removeprefix("file:")).parent == folder
    assert subprocess.run(
        ["model-serving", "checkpoints", "--last", "--checkpoint-dir", flags[-1]],
        env={**os.environ, **TURKISH}, capture_output=True, text=True, check=True, timeout=60,
    ).stdout.strip().removeprefix("file://") == command[3].removeprefix("file:")  # fmt: skip
    # What comes after a shell's command are its parameters, which this command does not look at.
    pasted = ["bash", "-c", found[1]]
    with (
        FlinkRun(variant, [], tmp_path / "second.log", environ=TURKISH, launcher=pasted) as second,
        Traffic(variant, broker.bootstrap_servers, topics, second.check) as traffic,
    ):
        traffic.send(*sample_records("wine", 5, first_ts=6))
        results = traffic.await_results("wine", 10)
        assert [(one.submissionTs, one.result) for one in results] == [(ts, 1.0) for ts in range(1, 11)]
