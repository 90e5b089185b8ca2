"""Sends messages to Kafka: a message that does not arrive is an error, and no message is written twice."""

from __future__ import annotations

from contextlib import suppress
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaError, KafkaException, Producer

from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.connection import client_settings, connect, idempotent_producer
from model_serving.messaging.errors import MessagingError
from model_serving.messaging.losses import Losses
from model_serving.messaging.topics import MAX_MESSAGE_BYTES

__all__ = ["Sender"]

_MESSAGE_TIMEOUT_MS = 60_000
_CONNECT_S = 2.0


class Sender:
    """A context manager that sends to one topic. If it exits without an error, all messages were delivered.

    Raises:
        BrokerUnreachable: on entry, when no Kafka broker answers.
        MessagingError: a message was not delivered. Any call may raise it, for the first failure.
    """

    def __init__(
        self, kafka: KafkaAccess, topic: str, *, linger_ms: float = 1.0, compressed: bool = False
    ) -> None:
        """``compressed`` is for large messages: a document shrinks to a fraction, and arrives sooner."""
        self._kafka = kafka
        self._topic = topic
        self._linger_ms = linger_ms
        self._compression = "lz4" if compressed else "none"
        self._losses = Losses()
        self._producer: Producer | None = None

    def __enter__(self) -> Self:
        connect(self._kafka)
        self._producer = idempotent_producer(
            client_settings(self._kafka)
            | {
                "message.max.bytes": MAX_MESSAGE_BYTES,
                "message.timeout.ms": _MESSAGE_TIMEOUT_MS,
                "linger.ms": self._linger_ms,
                "compression.type": self._compression,
                "queue.buffering.max.messages": 500_000,
                "delivery.report.only.error": True,
                "on_delivery": self._losses.note,
            }
        )
        # A producer that is given a message of an unknown topic tries again only half a second later. If
        # nobody answers here, it asks by itself.
        with suppress(KafkaException):
            self._producer.list_topics(self._topic, timeout=_CONNECT_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.flush()
        elif kind is KeyboardInterrupt and self._producer is not None:
            # Messages that were counted as sent are delivered, if Kafka answers.
            self._producer.flush(5.0)

    def send(self, message: bytes, key: str | None = None) -> None:
        """Queues a message; waits while the queue is full. Messages with the same key keep their order."""
        producer = self._running()
        while True:
            try:
                producer.produce(self._topic, message, key)
            except BufferError:
                self._poll(0.1)
            except KafkaException as error:
                raise self._refused(error.args[0]) from error
            else:
                return

    def serve(self) -> None:
        """Raises an error if a message was not delivered. Call it now and then while sending."""
        self._poll(0)

    def flush(self) -> None:
        """Waits until everything is delivered."""
        producer = self._running()
        left = producer.flush(_MESSAGE_TIMEOUT_MS / 1000 + 5)
        self._check()
        if left:
            raise MessagingError(
                f"{left} messages to '{self._topic}' were not delivered: look at Kafka's log"
            )

    def _running(self) -> Producer:
        if self._producer is None:
            raise RuntimeError("a Sender sends inside its context only")
        return self._producer

    def _poll(self, timeout_s: float) -> None:
        self._running().poll(timeout_s)
        self._check()

    def _check(self) -> None:
        if self._losses.first is not None:
            raise self._refused(self._losses.first)

    def _refused(self, error: KafkaError) -> MessagingError:
        if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            return MessagingError(
                f"the topic '{self._topic}' takes no message of this size: "
                "raise its max.message.bytes, or publish the model by its location (--by-location)"
            )
        return MessagingError(
            f"'{self._topic}' did not take a message ({error.str()}): look at the topic and at Kafka"
        )
