"""Writes output in transactions, and goes on with the next output while a transaction is being committed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from confluent_kafka import Consumer

from model_serving.messaging.access import KafkaAccess
from model_serving.server.delivery import Writer, output_producer
from model_serving.server.entries import Entry
from model_serving.server.errors import Fenced, Interrupted
from model_serving.server.held import Held, Messages
from model_serving.server.progress import Progress
from model_serving.server.state_topic import produce_entries
from model_serving.server.transactions import ABORT_S, PATIENCE_S, Commit, Transactions, transactional

__all__ = ["ExactlyOnce"]

_LINGER_MS = 20
"""Results cannot be read before the commit, which does not wait for this: so large requests cost nothing."""


class ExactlyOnce(Writer):
    """Writes in transactions, which hold the offsets of the records that the output came from.

    A producer has one transaction at a time, and a commit takes several answers of Kafka. Meanwhile output is
    held, and the next transaction begins with it. A commit takes the offsets along as they are when it is
    started, between two batches: so a transaction has the output of exactly the records whose offsets it has.
    """

    def __init__(
        self,
        kafka: KafkaAccess,
        consumer: Consumer,
        progress: Progress,
        state_topic: str,
        interval_s: float,
        name: str,
    ) -> None:
        """``name`` is the transactional id: whoever starts with the same one ends these transactions."""
        settings = output_producer(kafka) | transactional(name) | {"linger.ms": _LINGER_MS}
        super().__init__(settings, consumer, progress, state_topic, interval_s)
        self._transactions = Transactions(self._producer)
        self._has_begun = False
        self._held = Held()
        self._commit: Commit | None = None

    def start(self) -> None:
        """See Delivery."""
        self._transactions.start()

    @property
    def holds_back(self) -> bool:
        """See Delivery."""
        return bool(self._held)

    def write(self, topic: str, messages: Sequence[bytes]) -> None:
        """See Delivery."""
        if not messages:
            return
        if self._takes():
            self._put(topic, messages)
        else:
            self._held.add_messages(topic, messages)

    def state(self, entries: Iterable[Entry]) -> None:
        """See Delivery."""
        if self._takes():
            produce_entries(self._producer, self._state_topic, entries)
        else:
            self._held.add_entries(list(entries))

    def tend(self, *, has_read: bool) -> None:
        """See Delivery."""
        self._producer.poll(0)
        self._check()
        if has_read:
            self._opened()
        if self._commit is not None:
            if not self._commit.is_over:
                return
            self._settle()
        if self._open and time.monotonic() >= self._due_s:
            self._start_commit(PATIENCE_S)

    def finish(self, *, patience_s: float = PATIENCE_S) -> None:
        """See Delivery."""
        end_s = time.monotonic() + patience_s
        self._settle(patience_s)
        if self._open:
            left_s = end_s - time.monotonic()
            self._start_commit(left_s)
            self._settle(left_s)

    def close(self) -> None:
        """See Delivery."""
        self._open = False
        self._held.take()
        try:
            self._settle(ABORT_S)
        except (Fenced, Interrupted):
            return
        if self._has_begun:
            self._has_begun = False
            self._transactions.abort()

    def _takes(self) -> bool:
        """Whether output can be produced; else a commit is under way and there is room to hold it."""
        self._opened()
        if self._commit is not None:
            if not self._commit.is_over and not self._held.is_full:
                return False
            self._settle()
        self._begin()
        return True

    def _begin(self) -> None:
        if not self._has_begun:
            self._transactions.begin()
            self._has_begun = True

    def _start_commit(self, patience_s: float) -> None:
        """Starts to commit all output so far, and the offsets of the records that were served so far."""
        # Also without output: offsets are committed in transactions only. And also without new offsets: this
        # is how Kafka fences a member that has lost its partitions.
        self._begin()
        group = self._consumer.consumer_group_metadata()
        self._has_begun = self._open = False
        self._commit = self._transactions.start_commit(self._progress.places(), group, patience_s)

    def _settle(self, within_s: float = PATIENCE_S) -> None:
        """Waits for the commit that is under way, and begins the next transaction with what was held."""
        commit, self._commit = self._commit, None
        if commit is None:
            return
        commit.wait(within_s)
        if self._held:
            self._begin()
            for held in self._held.take():
                if isinstance(held, Messages):
                    self._put(held.topic, held.messages)
                else:
                    produce_entries(self._producer, self._state_topic, held)
