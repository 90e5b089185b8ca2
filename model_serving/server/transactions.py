"""Transactions of a Kafka producer, which end in time whatever Kafka does."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from threading import Thread

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from model_serving.server.errors import Fenced, Interrupted, Overtaken

__all__ = ["ABORT_S", "PATIENCE_S", "Commit", "Transactions", "transactional", "translated"]

PATIENCE_S = 10.0
"""How long Kafka may take for a commit before serving begins again, in seconds."""

_TRY_S = 5.0
_GRACE_S = 1.0
ABORT_S = 3.0
"""How long Kafka may take for the end of a transaction that is given up, in seconds."""

_TIMEOUT_MS = 20_000
"""How long the transaction of a member that was killed holds up readers, unless it starts again before."""

_FENCED = {
    KafkaError._FENCED,  # noqa: SLF001 - their public names
    KafkaError.PRODUCER_FENCED,
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.FENCED_INSTANCE_ID,
}

_OVERTAKEN = {KafkaError.ILLEGAL_GENERATION, KafkaError.REBALANCE_IN_PROGRESS}
"""A client joins a new generation of its group in the background, and the broker knows of it first."""


def transactional(name: str) -> dict[str, object]:
    """The settings of a producer that writes in transactions under this transactional id."""
    return {"transactional.id": name, "transaction.timeout.ms": _TIMEOUT_MS}


def translated(error: KafkaException, what: str) -> Fenced | Interrupted:
    """The error of the server for an error of a Kafka client while it does ``what``."""
    cause: KafkaError = error.args[0]
    if cause.code() in _FENCED:
        return Fenced(str(cause.str()))
    if cause.code() in _OVERTAKEN:
        return Overtaken(f"{what} failed ({cause.str()})")
    return Interrupted(f"{what} failed ({cause.str()})")


class Commit:
    """Requests to Kafka that are under way in a thread of their own, in the end a commit.

    librdkafka's calls have time limits, and some of them wait for ever all the same when the broker dies
    meanwhile. Such a thread is left behind.
    """

    def __init__(self, what: str, steps: Sequence[Callable[[float], object]], patience_s: float) -> None:
        """``what`` is for error texts. Each step is told how many seconds it has; it may be called again."""
        self._what = what
        self._steps = steps
        self._end_s = time.monotonic() + patience_s
        self._failed: BaseException | None = None
        self._thread = Thread(target=self._run, name="transaction", daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """Whether ``wait`` does not wait any more."""
        return not self._thread.is_alive() or time.monotonic() >= self._end_s + _GRACE_S

    def wait(self, within_s: float = PATIENCE_S) -> None:
        """Waits until Kafka has done it, at most ``within_s`` seconds and no longer than its patience.

        Raises:
            Overtaken: the group has shared its partitions anew meanwhile.
            Interrupted: Kafka has refused, or has not answered in time.
            Fenced: another process uses the same transactional id.
        """
        left_s = self._end_s + _GRACE_S - time.monotonic()
        self._thread.join(max(0.0, min(left_s, within_s + _GRACE_S)))
        if self._thread.is_alive():
            raise Interrupted(f"{self._what} failed (Kafka does not answer)")
        if self._failed is not None:
            raise self._failed

    def _run(self) -> None:
        try:
            for step in self._steps:
                self._try(step)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that asks
            self._failed = error

    def _try(self, step: Callable[[float], object]) -> None:
        """Tries again while Kafka says that this may help."""
        while True:
            try:
                step(max(0.1, min(_TRY_S, self._end_s - time.monotonic())))
            except KafkaException as error:
                if not error.args[0].retriable() or time.monotonic() > self._end_s:
                    raise translated(error, self._what) from error
            else:
                return


class Transactions:
    """The transactions of one producer, one after the other. Call ``start`` once, before all others.

    Every call may raise Interrupted when Kafka refuses or does not answer, and Fenced when another process
    uses the same transactional id. The producer must not be used after that.
    """

    def __init__(self, producer: Producer) -> None:
        self._producer = producer

    def start(self) -> None:
        """Ends what another process with the same transactional id has left open, and keeps it out."""
        Commit("the start of transactions", [self._producer.init_transactions], PATIENCE_S).wait()

    def begin(self) -> None:
        """Begins a transaction; the one before must be over."""
        try:
            self._producer.begin_transaction()
        except KafkaException as error:
            raise translated(error, "the begin of a transaction") from error

    def start_commit(self, offsets: Sequence[TopicPartition], group: object, patience_s: float) -> Commit:
        """Begins to commit everything since ``begin``, and the offsets in the consumer group.

        Nothing may be produced until that is over. ``group`` is the consumer's metadata; None: there are no
        offsets.
        """
        producer = self._producer
        steps: list[Callable[[float], object]] = [producer.commit_transaction]
        if group is not None:
            steps.insert(0, partial(producer.send_offsets_to_transaction, list(offsets), group))
        return Commit("a transaction", steps, patience_s)

    def commit(self, offsets: Sequence[TopicPartition], group: object, patience_s: float) -> None:
        """Commits as ``start_commit`` does, and waits for it."""
        self.start_commit(offsets, group, patience_s).wait(patience_s)

    def abort(self) -> None:
        """Aborts what was begun. Without an answer, Kafka does so by itself when the time is over.

        After a call that has failed only if it was overtaken: librdkafka may wait for ever otherwise.
        """
        Commit("the end of a transaction", [self._producer.abort_transaction], ABORT_S).wait()
