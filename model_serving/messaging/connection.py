"""Connections to Kafka: clients that write no log lines, and errors of one line."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from model_serving.messaging.access import KafkaAccess, Refusals
from model_serving.messaging.errors import BrokerUnreachable, MessagingError
from model_serving.messaging.topics import DEAD_LETTER_BYTES, TopicNames, partitions_of, topic_settings

__all__ = [
    "SOON_AGAIN",
    "client_settings",
    "connect",
    "create_topics",
    "idempotent_producer",
    "passes",
    "reader_settings",
    "wait_for_broker",
]

UNREACHABLE_AFTER_S = 7.0

SOON_AGAIN = {"fetch.queue.backoff.ms": 20}
"""A setting of consumers: when they ask for more after their queue was full. Large messages or a backlog fill
it for a moment, and by default the client then looks again after a second."""

_HEAD_START_S = 0.05
_PASSING = {KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT}  # noqa: SLF001 - their public names


def client_settings(kafka: KafkaAccess) -> dict[str, Any]:
    """The settings of every Kafka client: librdkafka's log lines are off, errors come as exceptions."""
    return {
        **kafka.librdkafka,
        "client.id": "model-serving",
        "log_level": 0,
        "error_cb": lambda _error: None,
    }


def reader_settings(kafka: KafkaAccess) -> dict[str, Any]:
    """The settings of a consumer that leaves no traces: it joins no group and commits no offset.

    It takes messages of every size that this project's topics hold, and reports the end of a partition.
    """
    return client_settings(kafka) | {
        # The client demands a group name; with assign() it never joins the group.
        "group.id": f"model-serving-read-{uuid.uuid4()}",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
        "enable.partition.eof": True,
        "fetch.wait.max.ms": 100,
        "fetch.message.max.bytes": DEAD_LETTER_BYTES,
        "fetch.max.bytes": 2 * DEAD_LETTER_BYTES,
        **SOON_AGAIN,
    }


def idempotent_producer(settings: Mapping[str, Any]) -> Producer:
    """A producer that writes no message twice. It is connected, if Kafka answers at once.

    Raises:
        KafkaException: the settings cannot be used.
    """
    producer = Producer({**settings, "enable.idempotence": True})
    # Such a producer needs a number from Kafka. Its first attempt to get one fails if it is asked for
    # anything else before, and its second one comes half a second later.
    producer.poll(_HEAD_START_S)
    return producer


def passes(error: KafkaError) -> bool:
    """Whether the client goes on by itself after this error, as soon as a broker is there again."""
    return error.retriable() or error.code() in _PASSING


def wait_for_broker(
    kafka: KafkaAccess, *, deadline_s: float, give_up: Callable[[], bool] = lambda: False
) -> AdminClient:
    """An admin client for a Kafka that has answered.

    Args:
        kafka: the access to Kafka.
        deadline_s: how long to wait for an answer, in seconds.
        give_up: called between two tries; True ends the wait at once.

    Raises:
        BrokerUnreachable: no answer within ``deadline_s`` seconds, or ``give_up`` returned True.
        MessagingError: the addresses cannot be used, or Kafka does not let this client in.
    """
    refusals = Refusals(kafka)
    settings = client_settings(kafka) | {"reconnect.backoff.max.ms": 500} | refusals.settings
    try:
        admin = AdminClient(settings)
    except KafkaException as error:
        raise MessagingError(
            f"--bootstrap-servers '{kafka.bootstrap_servers}' cannot be used ({error.args[0].str()}): "
            "give host:port"
        ) from error
    end = time.monotonic() + deadline_s
    while (left_s := end - time.monotonic()) > 0 and not give_up():
        try:
            if admin.list_topics(timeout=min(left_s, 1.0)).brokers:
                return admin
        except KafkaException:
            if refused := refusals.told_to(admin):
                raise MessagingError(refused) from None
    raise BrokerUnreachable(kafka.bootstrap_servers)


def connect(kafka: KafkaAccess) -> AdminClient:
    """An admin client for a Kafka that should be running already.

    Raises:
        BrokerUnreachable: no answer within 7 seconds.
        MessagingError: the addresses cannot be used, or Kafka does not let this client in.
    """
    return wait_for_broker(kafka, deadline_s=UNREACHABLE_AFTER_S)


def create_topics(
    admin: AdminClient, names: TopicNames, *, partitions: int, deadline_s: float = 30.0
) -> None:
    """Creates the topics that do not exist yet, and waits until each has a leader for every partition.

    The models topic gets one partition, see ``partitions_of``.

    Raises:
        MessagingError: Kafka refuses a topic, or a topic is not ready within ``deadline_s`` seconds.
    """
    wanted = [
        NewTopic(name, partitions_of(name, names, partitions), replication_factor=1, config=settings)
        for name, settings in topic_settings(names).items()
    ]
    for name, made in admin.create_topics(wanted, operation_timeout=deadline_s).items():
        try:
            made.result(timeout=deadline_s)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise MessagingError(
                    f"the topic '{name}' cannot be created ({error.args[0].str()}): create it by hand"
                ) from error
    end = time.monotonic() + deadline_s
    while missing := [name for name in names.all() if not _has_leaders(admin, name)]:
        if time.monotonic() > end:
            raise MessagingError(
                f"the topic '{missing[0]}' has no leader after {deadline_s:g} s: look at the broker's log"
            )


def _has_leaders(admin: AdminClient, name: str) -> bool:
    try:
        topic = admin.list_topics(timeout=2.0).topics.get(name)
    except KafkaException:
        return False
    return (
        topic is not None and bool(topic.partitions) and all(p.leader >= 0 for p in topic.partitions.values())
    )
