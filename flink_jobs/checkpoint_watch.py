"""Finds out when a local job's checkpoints begin to fail and when they complete again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flink_jobs.config import Delivery, JobConfig

__all__ = ["CheckpointWatch"]

_TOLD = (
    "Asynchronous task checkpoint failed.",
    "Checkpoint expired before completing.",
    "Checkpoint was declined.",
    "Failure to finalize checkpoint.",
    "IO-problem detected.",
    "Trigger checkpoint failure.",
)
"""Flink's texts for failures that are due to the folder or its machine. Flink also gives up checkpoints when
a job starts, restarts or ends; nobody has to mend anything then."""

_CONSEQUENCE = {
    Delivery.AT_LEAST_ONCE: "scoring goes on; after a crash, the records since {last} would be scored again",
    Delivery.EXACTLY_ONCE: "scoring goes on; results stay uncommitted until a checkpoint completes, and "
    "the job restarts from {last} when too many fail in a row",
}


class CheckpointWatch:
    """Gives a line when checkpoints begin to fail, with the cause, and another when they complete again.

    ``why_not`` tells what is wrong with a folder, because Flink keeps only the kind of a failure.
    """

    def __init__(self, config: JobConfig, why_not: Callable[[str], str | None]) -> None:
        self._folder = config.checkpoint_dir
        self._consequence = _CONSEQUENCE[config.delivery]
        self._why_not = why_not
        self._told = 0
        self._failing = False

    def news(self, graph: Any) -> str | None:
        """A line about the checkpoints, if they began to fail or complete again since the last call.

        ``graph`` is Flink's execution graph as it is now.
        """
        stats = graph.getCheckpointStatsSnapshot()
        if stats is None:
            return None
        failed = stats.getHistory().getLatestFailedCheckpoint()
        completed = stats.getHistory().getLatestCompletedCheckpoint()
        last = 0 if completed is None else int(completed.getCheckpointId())
        if self._failing:
            if last <= self._told:
                return None
            self._failing = False
            return f"checkpoints complete again, the first is number {last}"
        if failed is None or int(failed.getCheckpointId()) <= max(last, self._told):
            return None
        said = str(failed.getFailureMessage())
        if not any(reason in said for reason in _TOLD):
            return None
        self._told, self._failing = int(failed.getCheckpointId()), True
        why = self._why_not(self._folder) or said.rstrip(".")
        back = f"checkpoint {last}" if last else "the start"
        return (
            f"checkpoint {self._told} failed: {why}; "
            f"free or mend {self._folder} ({self._consequence.format(last=back)})"
        )
