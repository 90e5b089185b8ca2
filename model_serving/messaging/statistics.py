"""Writes reports of statistics to a Kafka topic, without ever waiting for Kafka."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Generic, TypeVar

from confluent_kafka import KafkaException, Producer

from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.connection import client_settings
from model_serving.messaging.losses import Losses

__all__ = ["StatisticsTopic"]

_Report = TypeVar("_Report")

_LOGGER = logging.getLogger("model-serving.statistics")
_LOGGER.addHandler(logging.NullHandler())
_LOGGER.propagate = False


class StatisticsTopic(Generic[_Report]):
    """See ``core.statistics.reporter.StatisticsSink``."""

    def __init__(
        self, kafka: KafkaAccess, topic: str, encode: Callable[[_Report], tuple[bytes, bytes]]
    ) -> None:
        """``encode`` gives the key and the value of a report's message.

        Raises:
            KafkaException: the access to Kafka cannot be used.
        """
        self._topic = topic
        self._encode = encode
        self._losses = Losses()
        self._has_refused = False
        self._producer = Producer(
            client_settings(kafka)
            | {
                "logger": _LOGGER,
                "client.id": "model-serving-statistics",
                # The newest report of a version must be the last one in the topic, also after a retry.
                "max.in.flight.requests.per.connection": 1,
                "linger.ms": 20,
                "compression.type": "lz4",
                "message.timeout.ms": 30_000,
                "queue.buffering.max.messages": 2_000,
                "queue.buffering.max.kbytes": 16_384,
                "reconnect.backoff.max.ms": 1_000,
                "delivery.report.only.error": True,
                "on_delivery": self._losses.note,
            }
        )

    def send(self, report: _Report) -> bool:
        """See StatisticsSink."""
        key, value = self._encode(report)
        try:
            self._producer.produce(self._topic, value, key)
        except BufferError:
            return False
        except KafkaException:
            # For example a report that is larger than the client's limit.
            self._has_refused = True
        return True

    def has_lost(self) -> bool:
        """See StatisticsSink."""
        self._producer.poll(0)
        lost = self._has_refused or self._losses.first is not None
        self._has_refused, self._losses.first = False, None
        return lost

    def close(self, timeout_s: float) -> None:
        """See StatisticsSink."""
        self._producer.flush(timeout_s)
        self._producer.purge()
