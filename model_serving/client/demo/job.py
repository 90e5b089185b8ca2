"""What serves in the demo, as a child process: a job in a local Flink or Spark, or the server."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from model_serving.client.errors import ClientError
from model_serving.messaging.topics import TopicNames
from model_serving.runtime.environment import project_root
from model_serving.runtime.guard import Guarded

__all__ = ["JOBS", "SERVER", "SPARK_JOBS", "RunningJob", "check_set_up", "job_command", "run_job"]

SERVER = "server"
SPARK_JOBS = {"spark": "broadcast", "spark-keyed": "keyed", "spark-broadcast": "broadcast"}
"""The names of the Spark jobs, and their scripts."""

JOBS = ("keyed", "broadcast", SERVER, *SPARK_JOBS)
"""What the demo can run: the two Flink jobs, the server, and the two Spark jobs."""

# The flink command takes up to 20 s to end its own children before it kills them.
_STOP_GRACE_S = 30.0


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A started job, and the file with its output."""

    process: Guarded
    log: Path

    def check(self) -> None:
        """Checks that the job runs.

        Raises:
            ClientError: the job has ended.
        """
        if self.process.exit_status is not None:
            raise ClientError(
                f"the job has ended (exit status {self.process.exit_status}): {self.log} says why"
            )


def job_command(job: str, bootstrap_servers: str, topics: TopicNames, checkpoints: Path) -> list[str]:
    """Returns the command line that starts one of ``JOBS``; the server has no checkpoints."""
    flags = [
        *("--bootstrap-servers", bootstrap_servers),
        *("--models-topic", topics.models),
        *("--data-topic", topics.data),
        *("--results-topic", topics.results),
        *("--dead-letter-topic", topics.dead_letters),
        *("--status-topic", topics.status),
        *("--stats-topic", topics.stats),
    ]
    if job == SERVER:
        return [sys.executable, "-m", "model_serving.client.cli", "run", *flags]
    if job in SPARK_JOBS:
        script = project_root() / "spark_jobs" / f"{SPARK_JOBS[job]}.py"
        return [str(_spark_submit()), str(script), *flags, "--checkpoint-dir", str(checkpoints)]
    flink, script = Path(sys.prefix) / "bin" / "flink", project_root() / "flink_jobs" / f"{job}.py"
    return [str(flink), "run", "-py", str(script), *flags, "--checkpoint-dir", str(checkpoints)]


def check_set_up(job: str) -> None:
    """Checks that what a job of ``JOBS`` runs in was installed.

    Raises:
        ClientError: it was not.
    """
    if job in SPARK_JOBS and not _spark_submit().is_file():
        raise ClientError("Spark is not set up here: run make install-spark")


def _spark_submit() -> Path:
    return project_root() / ".venv-spark" / "bin" / "spark-submit"


@contextmanager
def run_job(command: list[str], log: Path) -> Iterator[RunningJob]:
    """Runs ``command`` while the context is open. Afterwards none of its processes is left."""
    with log.open("wb") as output:
        process = Guarded(command, grace_s=_STOP_GRACE_S, output=output)
        try:
            yield RunningJob(process, log)
        finally:
            process.stop()
