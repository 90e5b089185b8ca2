"""The function that Spark maps over the records, in its Python worker processes."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from model_serving.messaging.topics import TopicNames
from model_serving.settings import ServingSettings
from model_serving.spark import worker
from model_serving.spark.broadcast.handover import Handover
from model_serving.spark.broadcast.pointer import Pointer
from model_serving.spark.broadcast.preloading import Preloading, PreloadingThread
from model_serving.spark.broadcast.presence import Presence
from model_serving.spark.broadcast.scoring import NothingRestored, TaskScoring
from model_serving.spark.outputs import Rows, origins_of
from model_serving.stores.folders import Folder

__all__ = ["ScoreRecords"]

_scoring: dict[ScoreRecords, TaskScoring] = {}
"""What this process has: the models stay loaded from task to task."""


@dataclass(frozen=True, slots=True)
class ScoreRecords:
    """Batches of Kafka's columns ``value``, ``partition`` and ``offset`` → batches of the sink's columns.

    Only these plain values are sent to the worker processes. ``folder`` is the URL of the pointer's folder.
    """

    settings: ServingSettings
    topics: TopicNames
    folder: str

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Scores the records of one task."""
        scoring = self._of_this_process()
        scoring.look()
        for batch in batches:
            values, partitions, offsets = batch.columns
            # A message without a value is not a record, as an empty one.
            payloads = [value or b"" for value in values.to_pylist()]
            yield scoring.score(payloads, origins_of(partitions, offsets)).take()

    def _of_this_process(self) -> TaskScoring:
        parts = worker.parts(self.settings)
        scoring = _scoring.get(self)
        if scoring is None:
            folder = Folder(self.folder)
            number = _task_number()
            scoring = TaskScoring(
                Pointer(folder),
                Handover(folder),
                parts.desk(NothingRestored(), None, f"worker {number}", number),
                parts.codec,
                parts.refusals(),
                self.settings.waiting,
                Rows(self.topics, confirms=False),
                worker.freeze,
            )
            _scoring[self] = scoring
            # A pointer of its own, because it looks at other times.
            presence = Presence(folder, f"{socket.gethostname()}-{os.getpid()}", worker.CLOCK)
            PreloadingThread(Preloading(Pointer(folder), presence, parts.lease, scoring.carried_out).step)
        return scoring


def _task_number() -> int:
    """The number of the task's partition."""
    from pyspark import TaskContext

    context = TaskContext.get()
    return 0 if context is None else int(context.partitionId())
