"""Writes the driver's own messages to Kafka: statuses, dead letters, results of records that have waited."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from confluent_kafka import KafkaError, KafkaException, Producer

from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.connection import client_settings
from model_serving.messaging.errors import MessagingError
from model_serving.messaging.losses import Losses
from model_serving.messaging.topics import DEAD_LETTER_BYTES
from model_serving.spark.broadcast.models_loop import Row

__all__ = ["DriverSender"]

_POLL_S = 0.1


class DriverSender:
    """Sends messages in their order, and waits out an outage of Kafka."""

    def __init__(self, kafka: KafkaAccess, stopping: Callable[[], bool]) -> None:
        """``stopping`` ends the waiting."""
        self._stopping = stopping
        self._losses = Losses()
        self._producer = Producer(
            client_settings(kafka)
            | {
                "enable.idempotence": True,
                "message.max.bytes": DEAD_LETTER_BYTES,
                "linger.ms": 0,
                "message.timeout.ms": 0,
                "reconnect.backoff.max.ms": 1_000,
                "delivery.report.only.error": True,
                "on_delivery": self._losses.note,
            }
        )

    def send(self, rows: Sequence[Row]) -> None:
        """Sends messages; returns when Kafka has them all.

        Raises:
            MessagingError: Kafka refuses a message, or the job is being stopped while Kafka is away.
        """
        for topic, value, headers in rows:
            self._produce(topic, value, headers)
        while self._producer.flush(_POLL_S):
            self._check()
            if self._stopping():
                raise MessagingError("the job was stopped while Kafka did not answer")
        self._check()

    def _produce(self, topic: str, value: bytes, headers: Sequence[tuple[str, bytes]]) -> None:
        while True:
            try:
                self._producer.produce(topic, value, headers=list(headers))
            except BufferError:
                self._producer.poll(_POLL_S)
            except KafkaException as error:
                raise self._refused(error.args[0]) from error
            else:
                return

    def _check(self) -> None:
        if self._losses.first is not None:
            raise self._refused(self._losses.first)

    def _refused(self, error: KafkaError) -> MessagingError:
        return MessagingError(
            f"Kafka did not take a message ({error.str()}): look at the topics and at Kafka"
        )
