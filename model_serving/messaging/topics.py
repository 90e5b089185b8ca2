"""The topics of a model-serving job: their names and their settings."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

__all__ = ["DEAD_LETTER_BYTES", "MAX_MESSAGE_BYTES", "TopicNames", "partitions_of", "topic_settings"]

MAX_MESSAGE_BYTES = 32 * 1024 * 1024
"""The largest message that is sent to a topic. It is large because model messages hold whole models."""

DEAD_LETTER_BYTES = MAX_MESSAGE_BYTES + 1024 * 1024
"""The largest dead letter: a whole message that could not be served, and the texts about it."""

_HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class TopicNames:
    """The topics of a job. ``stats`` may be empty: then there are no statistics."""

    models: str = "models"
    data: str = "mdata"
    results: str = "results"
    dead_letters: str = "dead-letters"
    status: str = "model-status"
    stats: str = "model-stats"

    def prefixed(self, prefix: str) -> TopicNames:
        """The topics with ``prefix`` before each name, so that a job has a set of its own."""
        return TopicNames(*(prefix + name for name in self.all()), *([] if self.stats else [""]))

    def all(self) -> tuple[str, ...]:
        """Every name: models, data, results, dead letters, status and, if there is one, statistics."""
        return tuple(filter(None, dataclasses.astuple(self)))


def partitions_of(topic: str, names: TopicNames, partitions: int) -> int:
    """How many partitions a new topic gets. One for models: between two, there is no order of versions."""
    return 1 if topic == names.models else partitions


def topic_settings(names: TopicNames) -> dict[str, dict[str, str]]:
    """Topic name → Kafka's settings for the topic."""
    for_ever = {"retention.ms": "-1"}
    # The jobs' sink passes on the timestamp of a record, which its producer may have set to any value. Kafka
    # refuses timestamps in the future, and this would stop the job.
    arrival = {"message.timestamp.type": "LogAppendTime"}
    size = {"max.message.bytes": str(MAX_MESSAGE_BYTES)}
    # The newest report of each version is kept, until it is a week old: then its process has ended. Small
    # segments, because only those that are full are compacted.
    newest = {
        "cleanup.policy": "compact,delete",
        "retention.ms": str(7 * 24 * _HOUR_MS),
        "segment.ms": str(_HOUR_MS),
        "segment.bytes": str(64 << 20),
    }
    settings = {
        names.models: size | for_ever,
        names.data: size,
        names.results: size | arrival,
        names.dead_letters: {"max.message.bytes": str(DEAD_LETTER_BYTES)} | arrival,
        names.status: size | arrival | for_ever,
    }
    return settings | ({names.stats: arrival | newest} if names.stats else {})
