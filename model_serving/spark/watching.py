"""Watches a running job: its failure, its end, and how far it has read."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaException

from model_serving.spark.config import SparkConfig
from model_serving.spark.offsets import GroupOffsets, read_ends
from model_serving.spark.started import Started

__all__ = ["Commits", "watch"]

_LOOK_S = 0.1


def watch(started: Started, stopping: Callable[[float], bool], read: Callable[[Any], None]) -> bool:
    """Looks at the job until it ends.

    Args:
        started: the job.
        stopping: waits for the given number of seconds; True when the job is to be stopped.
        read: is given the progress of every query, each time it has changed.

    Returns:
        True if the job finished by itself, False if it is to be stopped.

    Raises:
        Exception: what a query or a part beside the queries failed with.
    """
    batches: dict[str, int] = {}
    while True:
        started.check()
        is_over = not any(query.isActive for query in started.queries)
        for query in started.queries:
            if not query.isActive and (failure := query.exception()) is not None:
                raise failure
            progress = query.lastProgress
            if progress is not None and batches.get(query.id) != progress["batchId"]:
                batches[query.id] = progress["batchId"]
                read(progress)
        if is_over:
            return True
        if stopping(_LOOK_S):
            return False


class Commits:
    """Commits to the consumer groups what the queries have read."""

    _EVERY_S = 1.0

    def __init__(self, config: SparkConfig) -> None:
        self._groups = {
            config.models_topic: GroupOffsets(config.kafka, config.models_group),
            config.data_topic: GroupOffsets(config.kafka, config.data_group),
        }
        self._due: dict[str, dict[int, int]] = {}
        self._next_s = 0.0

    def take(self, progress: Any) -> None:
        """Notes the progress of a query, and commits once a second at most."""
        for topic, ends in read_ends(progress["sources"]).items():
            if topic in self._groups:
                self._due.setdefault(topic, {}).update(ends)
        if time.monotonic() >= self._next_s:
            self._commit()

    def close(self) -> None:
        """Commits what is left."""
        self._commit()
        for group in self._groups.values():
            group.close()

    def _commit(self) -> None:
        self._next_s = time.monotonic() + self._EVERY_S
        due, self._due = self._due, {}
        for topic, ends in due.items():
            try:
                self._groups[topic].commit(topic, ends)
            except KafkaException:
                # Nothing depends on it: the job goes on from its checkpoint, and the next commit has it all.
                continue
