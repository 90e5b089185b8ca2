"""Tells a topic from another one of the same name: Kafka gives each topic an id when it is made (KIP-516)."""

from __future__ import annotations

from collections.abc import Iterable

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.connection import client_settings, passes

__all__ = ["TopicIds"]

_ANSWER_S = 2.0


class TopicIds:
    """The ids of topics when they were last looked at.

    Raises:
        KafkaException: the addresses cannot be used.
    """

    def __init__(self, kafka: KafkaAccess) -> None:
        self._admin = AdminClient(client_settings(kafka) | {"reconnect.backoff.max.ms": 1_000})
        self._known: dict[str, str] = {}

    def have_changed(self, topics: Iterable[str]) -> bool:
        """Looks at the topics; whether one of them is another topic now than at an earlier look.

        A topic of which Kafka tells nothing now keeps the id that it had. Kafka before 2.8 has no ids, so
        nothing changes there.

        Raises:
            KafkaException: Kafka does not answer.
        """
        found = {}
        names = sorted(topics)
        asked = (
            self._admin.describe_topics(TopicCollection(names), request_timeout=_ANSWER_S) if names else {}
        )
        for name, answer in asked.items():
            try:
                found[name] = str(answer.result().topic_id)
            except KafkaException as error:
                if passes(error.args[0]):
                    raise
        changed = any(self._known.get(name, one) != one for name, one in found.items())
        self._known |= found
        return changed

    def forget(self) -> None:
        """The next look is the first one."""
        self._known = {}
