"""What serves in the demo, as a child process: ``flink run`` on a local minicluster, or the server."""

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

__all__ = ["JOBS", "SERVER", "RunningJob", "job_command", "run_job"]

SERVER = "server"
JOBS = ("keyed", "broadcast", SERVER)
"""What the demo can run: the two Flink jobs, and the server without Flink."""

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
    """Returns the command line that starts one of ``JOBS``; only a Flink job has checkpoints."""
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
    flink, script = Path(sys.prefix) / "bin" / "flink", project_root() / "flink_jobs" / f"{job}.py"
    return [str(flink), "run", "-py", str(script), *flags, "--checkpoint-dir", str(checkpoints)]


@contextmanager
def run_job(command: list[str], log: Path) -> Iterator[RunningJob]:
    """Runs ``command`` while the context is open. Afterwards none of its processes is left."""
    with log.open("wb") as output:
        process = Guarded(command, grace_s=_STOP_GRACE_S, output=output)
        try:
            yield RunningJob(process, log)
        finally:
            process.stop()
