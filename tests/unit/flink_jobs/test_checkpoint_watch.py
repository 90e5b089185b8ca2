"""What a user is told about failing checkpoints: once, with the cause, and again when they complete."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from flink_jobs.checkpoint_watch import CheckpointWatch
from flink_jobs.config import JobConfig, parse_config

KEPT = "file:///kept"
FINALIZE = "Failure to finalize checkpoint."


@dataclass
class Checkpoint:
    """The part of Flink's checkpoint statistics that is used."""

    number: int
    message: str = ""

    def getCheckpointId(self) -> int:  # noqa: N802
        return self.number

    def getFailureMessage(self) -> str:  # noqa: N802
        return self.message


@dataclass
class Graph:
    """Flink's execution graph, its checkpoint statistics and their history in one."""

    completed: Checkpoint | None = None
    failed: Checkpoint | None = None
    asked: list[str] = field(default_factory=list)

    def getCheckpointStatsSnapshot(self) -> Any:  # noqa: N802
        return self

    getHistory = getCheckpointStatsSnapshot  # noqa: N815

    def getLatestCompletedCheckpoint(self) -> Checkpoint | None:  # noqa: N802
        return self.completed

    def getLatestFailedCheckpoint(self) -> Checkpoint | None:  # noqa: N802
        return self.failed


def config(*flags: str) -> JobConfig:
    return parse_config(["--checkpoint-dir", "/kept", *flags], {}, "keyed.py")


def watch(why: str | None = None, *flags: str) -> CheckpointWatch:
    return CheckpointWatch(config(*flags), lambda folder: why if folder == KEPT else f"asked for {folder}")


def test_a_failure_is_told_once_and_so_is_its_end() -> None:
    watched, graph = watch("No space left on device"), Graph()
    assert watched.news(graph) is None
    graph.completed = Checkpoint(4)
    assert watched.news(graph) is None
    graph.failed = Checkpoint(5, FINALIZE)
    assert watched.news(graph) == (
        "checkpoint 5 failed: No space left on device; free or mend file:///kept "
        "(scoring goes on; after a crash, the records since checkpoint 4 would be scored again)"
    )
    graph.failed = Checkpoint(6, FINALIZE)
    assert watched.news(graph) is None
    graph.completed = Checkpoint(7)
    assert watched.news(graph) == "checkpoints complete again, the first is number 7"
    assert watched.news(graph) is None
    graph.failed = Checkpoint(8, FINALIZE)
    assert str(watched.news(graph)).startswith("checkpoint 8 failed: ")


def test_where_the_folder_can_be_written_to_it_is_told_what_flink_says() -> None:
    graph = Graph(None, Checkpoint(1, "Checkpoint expired before completing."))
    assert watch(None, "--delivery", "exactly-once").news(graph) == (
        "checkpoint 1 failed: Checkpoint expired before completing; free or mend file:///kept "
        "(scoring goes on; results stay uncommitted until a checkpoint completes, and "
        "the job restarts from the start when too many fail in a row)"
    )


@pytest.mark.parametrize(
    "message",
    [
        "Checkpoint Coordinator is suspending.",
        "Task has failed.",
        "Checkpoint was declined (task is not ready)",
    ],
)
def test_a_checkpoint_that_is_given_up_with_its_job_is_no_news(message: str) -> None:
    assert watch("No space left on device").news(Graph(Checkpoint(4), Checkpoint(5, message))) is None
