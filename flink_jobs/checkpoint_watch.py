"""Says on the terminal that a local job's checkpoints fail, and that they complete again."""

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
"""Flink's words for what is wrong with the folder or its machine. Checkpoints are also given up when a job is
new, restarts or ends: nothing that anybody has to mend."""

_CONSEQUENCE = {
    Delivery.AT_LEAST_ONCE: "records are scored on, after a crash those since {last} would be scored again",
    Delivery.EXACTLY_ONCE: "records are scored on, their results stay uncommitted until one completes; "
    "the job restarts from {last} when too many fail in a row",
}


class CheckpointWatch:
    """Gives a line when checkpoints begin to fail, with the cause, and one when they complete again.

    ``why_not`` is asked for what is wrong with a folder, as Flink keeps no more than the kind of a failure.
    """

    def __init__(self, config: JobConfig, why_not: Callable[[str], str | None]) -> None:
        self._folder = config.checkpoint_dir
        self._consequence = _CONSEQUENCE[config.delivery]
        self._why_not = why_not
        self._told = 0
        self._failing = False

    def news(self, graph: Any) -> str | None:
        """What has become of the checkpoints since it was asked the last time; None when nothing new."""
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
