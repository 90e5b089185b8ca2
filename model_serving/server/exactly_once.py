"""Writes output in transactions, and goes on with the next output while a transaction is being committed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from confluent_kafka import Consumer, TopicPartition

from model_serving.messaging.access import KafkaAccess
from model_serving.server.delivery import Writer, output_producer
from model_serving.server.entries import Entry
from model_serving.server.errors import Fenced, Interrupted, Overtaken
from model_serving.server.held import Held, Messages, Output
from model_serving.server.progress import Progress
from model_serving.server.state_topic import produce_entries
from model_serving.server.transactions import ABORT_S, PATIENCE_S, Commit, Transactions, transactional

__all__ = ["ExactlyOnce"]

_LINGER_MS = 20
"""Results cannot be read before the commit, which does not wait for this: so large requests cost nothing."""

_JOIN_S = 0.25
"""How long to wait for the new generation of the group that has overtaken a commit. It is mostly here within
milliseconds; if not, the commit is tried again all the same."""

_LOOK_S = 0.005


@dataclass(frozen=True, slots=True)
class _Committing:
    """A commit that is under way, and what it takes to repeat it.

    That is the output, the offsets of the records that it came from, and the generation of the group.
    """

    commit: Commit
    output: Sequence[Output]
    places: Sequence[TopicPartition]
    group: object


class ExactlyOnce(Writer):
    """Writes in transactions, which hold the offsets of the records that the output came from.

    A producer has one transaction at a time, and a commit takes several answers of Kafka. Meanwhile output is
    held, and the next transaction begins with it. A commit takes the offsets along as they are when it is
    started, between two batches: so a transaction has the output of exactly the records whose offsets it has.

    When members come or go, the group has a new generation, and Kafka refuses a commit of the one before. So
    it keeps out members that it took for dead. A commit that was only overtaken is repeated in a new
    transaction, with the same output and offsets.
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
        # What the open transaction has.
        self._sent: list[Output] = []
        self._committing: _Committing | None = None

    def start(self) -> None:
        """See Delivery."""
        self._transactions.start()

    @property
    def holds_back(self) -> bool:
        """See Delivery."""
        return bool(self._held)

    def write(self, topic: str, messages: Sequence[bytes]) -> None:
        """See Delivery."""
        if messages:
            self._write(Messages(topic, messages))

    def state(self, entries: Iterable[Entry]) -> None:
        """See Delivery."""
        self._write(list(entries))

    def tend(self, *, has_read: bool) -> None:
        """See Delivery."""
        self._producer.poll(0)
        self._check()
        if has_read:
            self._opened()
        if self._committing is not None:
            if not self._committing.commit.is_over:
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
        committing, self._committing = self._committing, None
        has_begun, self._has_begun = self._has_begun, False
        try:
            # Not repeated, if it was overtaken: others may have these partitions by now.
            if committing is not None:
                committing.commit.wait(ABORT_S)
            if has_begun:
                self._transactions.abort()
        except (Fenced, Interrupted):
            return

    def _write(self, output: Output) -> None:
        if self._takes():
            self._send(output)
        else:
            self._held.add(output)

    def _takes(self) -> bool:
        """Whether output can be produced; else a commit is under way and there is room to hold it."""
        self._opened()
        if self._committing is not None:
            if not self._committing.commit.is_over and not self._held.is_full:
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
        places, group = self._progress.places(), self._consumer.consumer_group_metadata()
        output, self._sent = self._sent, []
        self._has_begun = self._open = False
        commit = self._transactions.start_commit(places, group, patience_s)
        self._committing = _Committing(commit, output, places, group)

    def _settle(self, within_s: float = PATIENCE_S) -> None:
        """Waits for the commit that is under way, and begins the next transaction with what was held."""
        committing, self._committing = self._committing, None
        if committing is None:
            return
        end_s = time.monotonic() + within_s
        try:
            committing.commit.wait(within_s)
        except Overtaken:
            self._commit_again(committing, end_s)
        if self._held:
            self._begin()
            for output in self._held.take():
                self._send(output)

    def _commit_again(self, overtaken: _Committing, end_s: float) -> None:
        """Commits the same in a new transaction, as a member of the group's new generation.

        The partitions are still this member's: it gives partitions away, and learns that it has lost some, in
        the thread that is here.
        """
        while True:
            self._transactions.abort()
            group = self._generation_after(overtaken.group)
            self._transactions.begin()
            for output in overtaken.output:
                self._produce(output)
            try:
                self._transactions.commit(overtaken.places, group, end_s - time.monotonic())
            except Overtaken:
                if time.monotonic() >= end_s:
                    raise
            else:
                return

    def _generation_after(self, before: object) -> object:
        end_s = time.monotonic() + _JOIN_S
        while (group := self._consumer.consumer_group_metadata()) == before and time.monotonic() < end_s:
            time.sleep(_LOOK_S)
        return group

    def _send(self, output: Output) -> None:
        self._sent.append(output)
        self._produce(output)

    def _produce(self, output: Output) -> None:
        if isinstance(output, Messages):
            self._put(output.topic, output.messages)
        else:
            produce_entries(self._producer, self._state_topic, output)
