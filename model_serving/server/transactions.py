"""Transactions of a Kafka producer, which end in time whatever Kafka does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from model_serving.server.errors import Fenced, Interrupted

__all__ = ["PATIENCE_S", "Transactions", "transactional", "translated"]

PATIENCE_S = 10.0
"""How long Kafka may take for a commit before serving begins again, in seconds."""

_TRY_S = 5.0
_ABORT_S = 3.0
_TIMEOUT_MS = 20_000
"""How long the transaction of a member that was killed holds up readers, unless it starts again before."""

_FENCED = {
    KafkaError._FENCED,  # noqa: SLF001 - their public names
    KafkaError.PRODUCER_FENCED,
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.FENCED_INSTANCE_ID,
}


def transactional(name: str) -> dict[str, object]:
    """The settings of a producer that writes in transactions under this transactional id."""
    return {"transactional.id": name, "transaction.timeout.ms": _TIMEOUT_MS}


def translated(error: KafkaException, what: str) -> Fenced | Interrupted:
    """The error of the server for an error of a Kafka client while it does ``what``."""
    cause: KafkaError = error.args[0]
    if cause.code() in _FENCED:
        return Fenced(str(cause.str()))
    return Interrupted(f"{what} failed ({cause.str()})")


class Transactions:
    """The transactions of one producer, one after the other.

    Every call may raise Interrupted when Kafka refuses or does not answer, and Fenced when another process
    uses the same transactional id. The producer must not be used after that.

    Each call runs in a thread of its own: librdkafka's calls have time limits, and some of them wait for ever
    all the same when the broker dies meanwhile.
    """

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self._is_lost = False
        self._act("the start of transactions", PATIENCE_S, producer.init_transactions)

    def begin(self) -> None:
        """Begins a transaction."""
        try:
            self._producer.begin_transaction()
        except KafkaException as error:
            raise translated(error, "the begin of a transaction") from error

    def commit(self, offsets: Sequence[TopicPartition], group: object, patience_s: float) -> None:
        """Commits everything since ``begin``, and the offsets in the consumer group.

        ``group`` is the consumer's metadata; None: there are no offsets.
        """
        producer = self._producer
        if group is not None:
            self._act(
                "a transaction",
                patience_s,
                lambda try_s: producer.send_offsets_to_transaction(list(offsets), group, try_s),
            )
        self._act("a transaction", patience_s, producer.commit_transaction)

    def abort(self) -> None:
        """Aborts what was begun, if Kafka answers; it does so by itself when the time is over."""
        if self._is_lost:
            return
        try:
            self._act("the end of a transaction", _ABORT_S, self._producer.abort_transaction)
        except (Fenced, Interrupted):
            return

    def _act(self, what: str, patience_s: float, act: Callable[[float], object]) -> None:
        """Tries again while Kafka says that this may help."""
        failed: list[BaseException] = []
        end_s = time.monotonic() + patience_s

        def run() -> None:
            while True:
                try:
                    act(max(0.1, min(_TRY_S, end_s - time.monotonic())))
                except KafkaException as error:
                    if not error.args[0].retriable() or time.monotonic() > end_s:
                        failed.append(translated(error, what))
                        return
                except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
                    failed.append(error)
                    return
                else:
                    return

        thread = threading.Thread(target=run, name="transaction", daemon=True)
        thread.start()
        thread.join(patience_s + 1.0)
        if thread.is_alive():
            self._is_lost = True
            raise Interrupted(f"{what} failed (Kafka does not answer)")
        for error in failed:
            self._is_lost = True
            raise error
