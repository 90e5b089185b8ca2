"""Tells on the terminal what happens to a local job, because Flink tells it only in its log."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection
from typing import TYPE_CHECKING

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
    """Tells on standard error when a running job fails and restarts, or its checkpoints or commits fail.

    A minicluster keeps this in the job's execution graph. PyFlink's client keeps the minicluster in a
    private field, and there is no other way to reach it. For a job on a cluster nothing is told.
    """

    def __init__(
        self, program: str, job: JobClient, config: JobConfig, shared_groups: Collection[str]
    ) -> None:
        """``shared_groups`` are consumer groups already reported as having other readers."""
        # Imported here: flags are checked before anything of Flink is imported.
        from functions.internals import java_job_id, minicluster_of

        self._program = program
        self._job_id = java_job_id(job)
        self._cluster = minicluster_of(job)
        self._failures = FailureWatch()
        self._groups = GroupWatch(config.kafka, (config.models_group, config.data_group), told=shared_groups)
        self._groups.start()
        self._checkpoints = CheckpointWatch(config, why_not_writable)
        # A job without checkpoints loses even its models.
        self._start = (
            "from its last checkpoint" if config.checkpoint_interval_ms else "empty, it keeps no checkpoints"
        )
        self._next_look_s = 0.0

    def tell(self) -> None:
        """Prints what is new; looks at the job twice a second at most."""
        if self._cluster is None or time.monotonic() < self._next_look_s:
            return
        self._next_look_s = time.monotonic() + _LOOK_EVERY_S
        # Py4J wraps every error. Calls fail when the minicluster ends meanwhile; the job's own result then
        # tells what happened.
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
