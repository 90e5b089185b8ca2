"""The offsets of the consumer groups: where a job without a checkpoint starts, and how far a job has come.

Spark keeps its offsets in its checkpoint and never commits. They are committed here, so that tools show how
far behind a job is, and another host of this project can go on from there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from model_serving.flags import StartingOffsets
from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.connection import client_settings
from model_serving.messaging.errors import MessagingError
from model_serving.spark.config import SparkConfig

__all__ = ["GroupOffsets", "read_ends", "starting_offsets"]

_ASK_S = 10.0
_SEND_MS = 3_000
"""How long a commit may wait for Kafka. The client has this limit as the timeout of a group's member, which
these clients never become. Its default would hold up the end of a job without Kafka for 45 s a group."""

_EARLIEST = -2
"""The first message of a partition, in Spark's JSON of offsets."""


class GroupOffsets:
    """The committed offsets of a consumer group, for a program that assigns partitions by itself."""

    def __init__(self, kafka: KafkaAccess, group: str) -> None:
        self._consumer = Consumer(
            client_settings(kafka)
            | {"group.id": group, "enable.auto.commit": False, "session.timeout.ms": _SEND_MS}
        )

    def of(self, topic: str) -> dict[int, int | None]:
        """Partition → the committed offset, None where none is.

        Raises:
            MessagingError: Kafka does not say.
        """
        try:
            found = self._consumer.list_topics(topic, timeout=_ASK_S).topics[topic].partitions
            asked = [TopicPartition(topic, number) for number in sorted(found)]
            committed = self._consumer.committed(asked, timeout=_ASK_S)
        except KafkaException as error:
            raise MessagingError(
                f"Kafka does not give the group's offsets of '{topic}' ({error.args[0].str()}): try again, "
                "or start with --starting-offsets earliest"
            ) from error
        return {one.partition: one.offset if one.offset >= 0 else None for one in committed}

    def commit(self, topic: str, offsets: Mapping[int, int]) -> None:
        """Commits without waiting for Kafka's answer, which nothing depends on."""
        places = [TopicPartition(topic, number, offset) for number, offset in offsets.items()]
        self._consumer.commit(offsets=places, asynchronous=True)

    def close(self) -> None:
        """Sends what is not sent yet, and gives it up if Kafka is away."""
        self._consumer.close()


def starting_offsets(config: SparkConfig, topic: str) -> str:
    """The option of Spark's source for a query without a checkpoint.

    Raises:
        MessagingError: Kafka does not say what is committed.
    """
    if config.starting_offsets is not StartingOffsets.COMMITTED:
        return str(config.starting_offsets.value)
    offsets = GroupOffsets(
        config.kafka, config.data_group if topic == config.data_topic else config.models_group
    )
    try:
        committed = offsets.of(topic)
    finally:
        offsets.close()
    if not any(offset is not None for offset in committed.values()):
        return "earliest"
    return json.dumps(
        {topic: {str(n): _EARLIEST if offset is None else offset for n, offset in committed.items()}}
    )


def read_ends(sources: Iterable[Mapping[str, Any]]) -> dict[str, dict[int, int]]:
    """Topic → partition → the offset up to which a batch has read, from a query's progress."""
    ends: dict[str, dict[int, int]] = {}
    for source in sources:
        end = source.get("endOffset")
        found = json.loads(end) if isinstance(end, str) else end
        if not isinstance(found, dict):
            continue
        for topic, partitions in found.items():
            if isinstance(partitions, dict):
                ends.setdefault(topic, {}).update({int(n): int(offset) for n, offset in partitions.items()})
    return ends
