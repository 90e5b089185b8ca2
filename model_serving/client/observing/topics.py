"""The topics that the commands read, and what to do where one is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from model_serving.client.errors import ClientError
from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.connection import connect
from model_serving.observe.board import Topic

__all__ = ["ObservedTopics", "check_topics"]

_ANSWER_S = 10.0


@dataclass(frozen=True, slots=True)
class ObservedTopics:
    """The names of the topics that tell of a running job."""

    status: str
    statistics: str
    dead_letters: str

    def kinds(self, *wanted: Topic) -> dict[str, Topic]:
        """Returns name → what the topic holds."""
        names = {
            self.status: Topic.STATUS,
            self.statistics: Topic.STATISTICS,
            self.dead_letters: Topic.DEAD_LETTERS,
        }
        return {name: topic for name, topic in names.items() if topic in wanted and name}


def check_topics(kafka: KafkaAccess, topics: Mapping[str, Topic]) -> None:
    """Checks that Kafka answers and that the topics exist.

    Raises:
        BrokerUnreachable: no Kafka broker answers.
        ClientError: a topic does not exist.
    """
    if Topic.STATISTICS not in topics.values():
        raise ClientError("there are no statistics without a topic: name the job's with --stats-topic")
    found = connect(kafka).list_topics(timeout=_ANSWER_S).topics
    for name, topic in topics.items():
        if name not in found or found[name].error is not None:
            where = f"there is no topic '{name}' at {kafka.bootstrap_servers}"
            raise ClientError(
                f"{where}: start a job with --stats-topic {name}, which makes it, or name the job's"
                if topic is Topic.STATISTICS
                else f"{where}: check the name, or start the job that writes it"
            )
