"""The settings that all Kafka clients of the server share."""

from __future__ import annotations

import logging
from typing import Any

from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.connection import client_settings

__all__ = ["group_consumer_settings", "member_named", "server_client"]

_SESSION_MS = 10_000
"""How long Kafka waits for a member that is silent before it gives its partitions to others."""

_CLIENT = "model-serving-"
"""What the client id of a member begins with; the member's name follows."""

_LOGGER = logging.getLogger("model-serving.kafka")
_LOGGER.addHandler(logging.NullHandler())
_LOGGER.propagate = False


def server_client(kafka: KafkaAccess) -> dict[str, Any]:
    """The settings of a client that stays for long: it comes back soon after a broker, and logs nothing.

    librdkafka writes fatal errors to standard error whatever its log level is, unless it has a logger.
    """
    return client_settings(kafka) | {"logger": _LOGGER, "reconnect.backoff.max.ms": 1_000}


def group_consumer_settings(kafka: KafkaAccess, group: str, name: str, refresh_ms: int) -> dict[str, object]:
    """The settings of a member of a consumer group, which keeps its place when it starts again soon."""
    refresh = {"topic.metadata.refresh.interval.ms": refresh_ms} if refresh_ms else {}
    return server_client(kafka) | {
        "group.id": group,
        "group.instance.id": name,
        "client.id": f"{_CLIENT}{name}",
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
        "session.timeout.ms": _SESSION_MS,
        "heartbeat.interval.ms": 2_000,
        "max.poll.interval.ms": 600_000,
        **refresh,
    }


def member_named(client_id: str) -> str:
    """The name of the member that has this client id in a group; "" if it is no member of a server."""
    return client_id.removeprefix(_CLIENT) if client_id.startswith(_CLIENT) else ""
