"""Writes output, and commits the records that it came from: what every delivery does, and at least once."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Protocol

from confluent_kafka import Consumer, KafkaException, Producer

from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.losses import Losses
from model_serving.messaging.topics import DEAD_LETTER_BYTES
from model_serving.server.clients import server_client
from model_serving.server.entries import Entry
from model_serving.server.errors import Fenced, Interrupted
from model_serving.server.progress import Progress
from model_serving.server.state_topic import produce, produce_entries
from model_serving.server.transactions import PATIENCE_S, translated

__all__ = ["AtLeastOnce", "Delivery", "Writer", "output_producer"]

_QUEUE_KIB = 65_536
_QUEUE_MESSAGES = 200_000


class Delivery(Protocol):
    """The way from the serving loop to Kafka. Call ``start`` once, before the first record is read.

    Then call ``tend`` each round, and ``finish`` before partitions go.

    What is committed is the output that was written, and how far ``Progress`` says that records were served.
    """

    def start(self) -> None:
        """Makes sure that no process before this one, with the same name, can write any more.

        Raises:
            Interrupted: Kafka refuses, or does not answer.
            Fenced: another process has this one's name.
        """
        ...

    @property
    def holds_back(self) -> bool:
        """Whether output that was written has to wait for a commit before it goes on its way to Kafka."""
        ...

    def write(self, topic: str, messages: Sequence[bytes]) -> None:
        """Queues messages for a topic; waits while too much is under way.

        The caller must not change ``messages`` any more.
        """
        ...

    def state(self, entries: Iterable[Entry]) -> None:
        """Queues entries for the state topic."""
        ...

    def tend(self, *, has_read: bool) -> None:
        """Commits what was read and written, if it is time to; ``has_read``: this round has read records."""
        ...

    def finish(self, *, patience_s: float = PATIENCE_S) -> None:
        """Commits everything that was read and written so far.

        Raises:
            Interrupted: Kafka does not take it within ``patience_s`` seconds, or refuses it.
            Fenced: another process has this one's name.
        """
        ...

    def close(self) -> None:
        """Ends without committing what is open; ``finish`` does nothing any more.

        Close it before the consumer: when that gives its partitions back, records may be half served.
        """
        ...


def output_producer(kafka: KafkaAccess) -> dict[str, object]:
    """The settings of a producer of results. Its queue is bounded, so a slow Kafka holds the reader back."""
    return server_client(kafka) | {
        "enable.idempotence": True,
        "linger.ms": 1,
        "message.max.bytes": DEAD_LETTER_BYTES,
        "queue.buffering.max.kbytes": _QUEUE_KIB,
        "queue.buffering.max.messages": _QUEUE_MESSAGES,
        "delivery.report.only.error": True,
    }


class Writer:
    """What both deliveries share: a producer, and the first message that was not delivered."""

    def __init__(
        self,
        settings: dict[str, object],
        consumer: Consumer,
        progress: Progress,
        state_topic: str,
        interval_s: float,
    ) -> None:
        self._progress = progress
        self._losses = Losses()
        self._producer = Producer(settings | {"on_delivery": self._losses.note})
        self._consumer = consumer
        self._state_topic = state_topic
        self._interval_s = interval_s
        self._due_s = 0.0
        self._open = False

    def _put(self, topic: str, messages: Sequence[bytes]) -> None:
        queue = self._producer.produce
        for message in messages:
            try:
                queue(topic, message)
            except BufferError:
                produce(self._producer, topic, message)

    def _opened(self) -> None:
        """Something was read or written that is not committed."""
        if not self._open:
            self._open = True
            self._due_s = time.monotonic() + self._interval_s

    def _check(self) -> None:
        if self._losses.first is not None:
            raise Interrupted(f"a message was not delivered ({self._losses.first.str()})")


class AtLeastOnce(Writer):
    """Commits offsets once everything that was written before has been delivered."""

    def __init__(
        self, kafka: KafkaAccess, consumer: Consumer, progress: Progress, state_topic: str, interval_s: float
    ) -> None:
        settings = output_producer(kafka) | {"message.timeout.ms": 0}
        super().__init__(settings, consumer, progress, state_topic, interval_s)

    def start(self) -> None:
        """See Delivery. What a process before writes twice is allowed here."""

    @property
    def holds_back(self) -> bool:
        """See Delivery."""
        return False

    def write(self, topic: str, messages: Sequence[bytes]) -> None:
        """See Delivery."""
        self._put(topic, messages)

    def state(self, entries: Iterable[Entry]) -> None:
        """See Delivery."""
        produce_entries(self._producer, self._state_topic, entries)

    def tend(self, *, has_read: bool) -> None:
        """See Delivery."""
        self._producer.poll(0)
        self._check()
        if has_read:
            self._opened()
        if not self._open:
            return
        late_s = time.monotonic() - self._due_s
        # At a low rate there is often nothing under way, so nobody has to wait for a flush.
        if late_s >= 0 and (len(self._producer) == 0 or late_s > self._interval_s):
            self._commit(wait=False, patience_s=PATIENCE_S)

    def finish(self, *, patience_s: float = PATIENCE_S) -> None:
        """See Delivery."""
        if self._open:
            self._commit(wait=True, patience_s=patience_s)

    def close(self) -> None:
        """See Delivery."""
        self._open = False
        self._producer.flush(1.0)

    def _commit(self, *, wait: bool, patience_s: float) -> None:
        if self._producer.flush(patience_s):
            raise Interrupted(f"Kafka has not taken the results within {patience_s:g} s")
        self._check()
        self._open = False
        positions = self._progress.places()
        if not positions:
            return
        try:
            if wait:
                self._consumer.commit(offsets=positions, asynchronous=False)
            else:
                self._consumer.commit(offsets=positions, asynchronous=True)
        except KafkaException as error:
            # A commit that is refused because of a rebalance only means that records are read again.
            if isinstance(refused := translated(error, "the commit of offsets"), Fenced):
                raise refused from error
