"""The settings that all Kafka clients of the server share."""

from __future__ import annotations

import logging
from typing import Any

from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.connection import client_settings

__all__ = ["server_client"]

_LOGGER = logging.getLogger("model-serving.kafka")
_LOGGER.addHandler(logging.NullHandler())
_LOGGER.propagate = False


def server_client(kafka: KafkaAccess) -> dict[str, Any]:
    """The settings of a client that stays for long: it comes back soon after a broker, and logs nothing.

    librdkafka writes fatal errors to standard error whatever its log level is, unless it has a logger.
    """
    return client_settings(kafka) | {"logger": _LOGGER, "reconnect.backoff.max.ms": 1_000}
