"""The function that Spark maps over the records, in its Python worker processes."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.topics import TopicNames
from model_serving.settings import ServingSettings
from model_serving.spark import worker
from model_serving.spark.broadcast.handover import Handover
from model_serving.spark.broadcast.pointer import Pointer
from model_serving.spark.broadcast.preloading import Preloading, PreloadingThread
from model_serving.spark.broadcast.presence import Presence
from model_serving.spark.broadcast.scoring import NothingRestored, TaskScoring
from model_serving.spark.broadcast.sending import OutputSender
from model_serving.spark.outputs import Rows, origins_of
from model_serving.stores.folders import Folder

__all__ = ["NO_ROWS", "ScoreRecords"]

NO_ROWS = "nothing int"
"""The columns of what a task gives to Spark, in Spark's words. It gives no rows."""

_GIVE_UP_MS = 120_000
"""How long a task waits for a Kafka that is away: as long as Kafka's own clients by default."""

_processes: dict[ScoreRecords, tuple[TaskScoring, OutputSender]] = {}
"""What this process has: models stay loaded, and the connection to Kafka stays, from task to task."""


@dataclass(frozen=True, slots=True)
class ScoreRecords:
    """Scores batches of Kafka's columns ``value``, ``partition`` and ``offset``; writes the results to Kafka.

    Only these plain values are sent to the worker processes. ``folder`` is the URL of the pointer's folder.
    ``kafka`` may hold secrets, as the options of Spark's own sink.
    """

    settings: ServingSettings
    topics: TopicNames
    folder: str
    kafka: KafkaAccess = field(hash=False, repr=False)

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Scores the records of one task; ends when Kafka has everything that follows from them.

        Raises:
            MessagingError: Kafka refuses a message, or has been away for two minutes.
        """
        scoring, sender = self._of_this_process()
        scoring.look()
        for batch in batches:
            values, partitions, offsets = batch.columns
            # A message without a value is not a record, as an empty one.
            payloads = [value or b"" for value in values.to_pylist()]
            sender.put(scoring.score(payloads, origins_of(partitions, offsets)).take())
        sender.flush()
        # Spark asks for an iterator of batches.
        yield from ()

    def _of_this_process(self) -> tuple[TaskScoring, OutputSender]:
        parts = worker.parts(self.settings)
        made = _processes.get(self)
        if made is None:
            folder = Folder(self.folder)
            number = _task_number()
            scoring = TaskScoring(
                Pointer(folder),
                Handover(folder),
                parts.desk(NothingRestored(), None, f"worker {number}", number),
                parts.codec,
                parts.refusals(),
                self.settings.waiting,
                Rows(self.topics),
                worker.freeze,
            )
            made = _processes[self] = scoring, OutputSender(self.kafka, give_up_ms=_GIVE_UP_MS)
            # A pointer of its own, because it looks at other times.
            presence = Presence(folder, f"{socket.gethostname()}-{os.getpid()}", worker.CLOCK)
            PreloadingThread(Preloading(Pointer(folder), presence, parts.lease, scoring.carried_out).step)
        return made


def _task_number() -> int:
    """The number of the task's partition."""
    from pyspark import TaskContext

    context = TaskContext.get()
    return 0 if context is None else int(context.partitionId())
