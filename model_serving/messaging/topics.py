"""The topics of a model-serving job: their names and their settings."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

__all__ = ["DEAD_LETTER_BYTES", "MAX_MESSAGE_BYTES", "TopicNames", "topic_settings"]

MAX_MESSAGE_BYTES = 32 * 1024 * 1024
"""The largest message that is sent to a topic. It is large because model messages hold whole models."""

DEAD_LETTER_BYTES = MAX_MESSAGE_BYTES + 1024 * 1024
"""The largest dead letter: a whole message that could not be served, and the texts about it."""


@dataclass(frozen=True, slots=True)
class TopicNames:
    """The five topics of a job."""

    models: str = "models"
    data: str = "mdata"
    results: str = "results"
    dead_letters: str = "dead-letters"
    status: str = "model-status"

    def prefixed(self, prefix: str) -> TopicNames:
        """The topics with ``prefix`` before each name, so that a job has a set of its own."""
        return TopicNames(*(prefix + name for name in self.all()))

    def all(self) -> tuple[str, str, str, str, str]:
        """Every name: models, data, results, dead letters, status."""
        return dataclasses.astuple(self)


def topic_settings(names: TopicNames) -> dict[str, dict[str, str]]:
    """Topic name → Kafka's settings for the topic."""
    for_ever = {"retention.ms": "-1"}
    # The jobs' sink passes on the timestamp of a record, which its producer may have set to any value. Kafka
    # refuses timestamps in the future, and this would stop the job.
    arrival = {"message.timestamp.type": "LogAppendTime"}
    size = {"max.message.bytes": str(MAX_MESSAGE_BYTES)}
    return {
        names.models: size | for_ever,
        names.data: size,
        names.results: size | arrival,
        names.dead_letters: {"max.message.bytes": str(DEAD_LETTER_BYTES)} | arrival,
        names.status: size | arrival | for_ever,
    }
