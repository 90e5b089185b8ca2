"""Says on the terminal what happens to a local job: Flink says so in its log alone."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from flink_jobs.checkpoint_watch import CheckpointWatch
from flink_jobs.config import JobConfig
from flink_jobs.failures import FailureWatch
from flink_jobs.group_watch import GroupWatch
from model_serving.runtime.checkpoints import why_not_writable

if TYPE_CHECKING:
    from pyflink.common.job_client import JobClient

__all__ = ["LocalNews"]

_LOOK_EVERY_S = 0.5


class LocalNews:
    """Tells on standard error that a job that goes on has failed, that its checkpoints or its commits fail.

    A minicluster keeps this in the job's execution graph; the client that PyFlink has of it hides the
    minicluster, and there is no other way to it. Of a job on a cluster it tells nothing.
    """

    def __init__(
        self, program: str, job: JobClient, config: JobConfig, shared_groups: Collection[str]
    ) -> None:
        """``shared_groups`` are consumer groups of which was told already that others read in them."""
        self._program = program
        self._job_id = job.get_job_id()._j_job_id  # noqa: SLF001 - no public way to the Java object
        self._cluster = _minicluster(job)
        self._failures = FailureWatch()
        self._groups = GroupWatch(config.kafka, (config.models_group, config.data_group), told=shared_groups)
        self._checkpoints = CheckpointWatch(config, why_not_writable)
        # Without checkpoints even the models are gone.
        self._start = (
            "from its last checkpoint" if config.checkpoint_interval_ms else "empty, it keeps no checkpoints"
        )
        self._next_look_s = 0.0

    def tell(self) -> None:
        """Tells what is new; looks twice a second at most."""
        if self._cluster is None or time.monotonic() < self._next_look_s:
            return
        self._next_look_s = time.monotonic() + _LOOK_EVERY_S
        # Py4J wraps whatever goes wrong, as it does when the minicluster ends meanwhile: then the job's own
        # result says all.
        try:
            graph = self._cluster.getExecutionGraph(self._job_id).get()
            # Checkpoints first: they may be the cause of a failure.
            self._say(self._checkpoints.news(graph))
            for line in self._groups.news():
                self._say(line)
            cause = self._failures.news(graph)
        except Exception:  # noqa: BLE001
            return
        if cause is not None:
            self._say(f"the job failed and restarts ({self._start}): {cause}")

    def _say(self, line: str | None) -> None:
        if line is not None:
            print(f"{self._program}: {line}", file=sys.stderr, flush=True)


def _minicluster(job: JobClient) -> Any:
    client = job._j_job_client  # noqa: SLF001
    for field in client.getClass().getDeclaredFields():
        if field.getName() == "miniCluster":
            field.setAccessible(True)
            return field.get(client)
    return None
