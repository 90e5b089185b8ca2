"""Asks Kafka for the largest message that each topic takes, which is a setting of the topic."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource  # type: ignore[attr-defined]

__all__ = ["KAFKA_DEFAULT_BYTES", "MessageLimits", "message_limits"]

KAFKA_DEFAULT_BYTES = 1_048_588
"""Kafka's default of ``max.message.bytes``: 1 MiB and a header."""

_SETTING = "max.message.bytes"
_RETRY_S = 0.1


@dataclass(frozen=True, slots=True)
class MessageLimits:
    """Topic → the largest message that it takes, in bytes; ``unknown``: topic → why Kafka did not say."""

    known: Mapping[str, int]
    unknown: Mapping[str, str]

    def of(self, topic: str) -> int:
        """The largest message that a topic takes, in bytes; Kafka's default if it is not known."""
        return self.known.get(topic, KAFKA_DEFAULT_BYTES)


def message_limits(admin: AdminClient, topics: Collection[str], *, deadline_s: float) -> MessageLimits:
    """The limits of these topics. Waits up to ``deadline_s`` seconds for a topic that was just created."""
    known: dict[str, int] = {}
    unknown: dict[str, str] = {}
    for topic in topics:
        try:
            known[topic] = _limit(admin, topic, time.monotonic() + deadline_s)
        except KafkaException as error:
            unknown[topic] = str(error.args[0].str())
    return MessageLimits(known, unknown)


def _limit(admin: AdminClient, topic: str, end: float) -> int:
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    while True:
        (answer,) = admin.describe_configs([resource]).values()
        try:
            return int(answer.result(timeout=max(0.1, end - time.monotonic()))[_SETTING].value)
        except KafkaException as error:
            code = error.args[0].code()
            if code != KafkaError.UNKNOWN_TOPIC_OR_PART or time.monotonic() > end:
                raise
            time.sleep(_RETRY_S)
        except TimeoutError:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT)) from None  # noqa: SLF001 - its public name
