"""Writes messages to Kafka, from the driver and from the tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from confluent_kafka import KafkaError, KafkaException

from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.connection import client_settings, idempotent_producer
from model_serving.messaging.errors import MessagingError
from model_serving.messaging.losses import Losses
from model_serving.messaging.topics import DEAD_LETTER_BYTES
from model_serving.spark.outputs import Headers, Row

__all__ = ["OutputSender"]

_POLL_S = 0.1
_QUEUE_KIB = 65_536
_QUEUE_MESSAGES = 200_000


class OutputSender:
    """Sends messages in their order.

    Any call raises MessagingError if Kafka has refused one of the messages so far.
    """

    def __init__(
        self, kafka: KafkaAccess, *, give_up_ms: int = 0, stopping: Callable[[], bool] = lambda: False
    ) -> None:
        """Makes a client of Kafka, with threads of its own.

        Args:
            kafka: the access to Kafka.
            give_up_ms: after this many milliseconds without Kafka a message counts as refused; 0: never.
            stopping: ends the waiting for a Kafka that is away.
        """
        self._stopping = stopping
        self._losses = Losses()
        self._producer = idempotent_producer(
            client_settings(kafka)
            | {
                "message.max.bytes": DEAD_LETTER_BYTES,
                "queue.buffering.max.kbytes": _QUEUE_KIB,
                "queue.buffering.max.messages": _QUEUE_MESSAGES,
                "linger.ms": 1,
                "message.timeout.ms": give_up_ms,
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
        self.put(rows)
        self.flush()

    def put(self, rows: Sequence[Row]) -> None:
        """Puts messages on their way to Kafka; waits while too many are under way.

        Raises:
            MessagingError: see ``send``.
        """
        produce = self._producer.produce
        for topic, value, headers in rows:
            try:
                produce(topic, value, headers=headers)
            except BufferError:
                self._put_later(topic, value, headers)
            except KafkaException as error:
                raise _refused(error.args[0]) from error

    def flush(self) -> None:
        """Returns when Kafka has all messages.

        Raises:
            MessagingError: see ``send``.
        """
        while self._producer.flush(_POLL_S):
            self._check()
        self._check_losses()

    def _put_later(self, topic: str, value: bytes, headers: Headers) -> None:
        while True:
            self._producer.poll(_POLL_S)
            self._check()
            try:
                return self._producer.produce(topic, value, headers=headers)
            except BufferError:
                continue
            except KafkaException as error:
                raise _refused(error.args[0]) from error

    def _check(self) -> None:
        self._check_losses()
        if self._stopping():
            raise MessagingError("the job was stopped while Kafka did not answer")

    def _check_losses(self) -> None:
        if self._losses.first is not None:
            raise _refused(self._losses.first)


def _refused(error: KafkaError) -> MessagingError:
    return MessagingError(f"Kafka did not take a message ({error.str()}): look at the topics and at Kafka")
