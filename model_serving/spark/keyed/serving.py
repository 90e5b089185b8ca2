"""Carries out what a batch has for one data type: model messages, then records, and what its timer is for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from model_serving.assembly import Parts
from model_serving.core.batches import Decoded, RecordBatch
from model_serving.core.channels import Emitted, Retry
from model_serving.core.clock import Clock
from model_serving.settings import ServingSettings
from model_serving.spark.keyed.rows import Kind, RoutedRow, in_order, unpack_vector
from model_serving.spark.keyed.state import (
    ActiveInSpark,
    Handles,
    KeptInSpark,
    KeyedState,
    PendingInSpark,
    WaitingInSpark,
)

__all__ = ["KeyedServing"]

_REPORTER = "keyed"
"""The desk's name in reports of swaps. One task has a data type, so one report is all there are."""

_REMIND_AFTER_MS = 10_000
_REMIND_EVERY_MS = 60_000
"""When the status topic says that records wait, and how often again if more records wait by then."""

_HOLD_BACK_S = 1.0
"""How long records that find the buffer full hold up their batch, in seconds, while a model server is away.
The buffer then grows beyond its limit by what comes in a batch a second, and no record is lost."""

_AWAIT_MODEL_S = 10.0
"""How long records that would be refused hold up their batch, in seconds, while the first model of their data
type loads. A batch begins to load it and scores its records at once, so a backlog would be lost otherwise."""

_LOOK_S = 0.1
"""How often to look in the meantime, in seconds."""

_Mark = tuple[str, str]
"""The revision of a data type's state and of its model."""


class KeyedServing:
    """What a worker process has for one job: a desk that scores and a queue that admits models.

    Both remember things of data types, which are a cache over Spark's state: another process, or another
    attempt of the same batch, may have changed it since. So each call compares marks first. The iterators
    have to be read to their end: only then is the state written.
    """

    def __init__(
        self,
        parts: Parts,
        settings: ServingSettings,
        clock: Clock,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """``pause`` waits a number of seconds.

        Raises:
            ValueError: the key file cannot be read, or has no key in it.
        """
        self._policy = settings.waiting
        self._bounded = settings.waiting.bounded
        self._patience_s = settings.remote_timeout_ms / 1000
        self._clock = clock
        self._pause = pause
        self._codec = parts.codec
        self._state = KeyedState()
        self._desk = parts.desk(ActiveInSpark(self._state), WaitingInSpark(self._state), _REPORTER, 0)
        self._queue = parts.queue(KeptInSpark(self._state), PendingInSpark(self._state), 0)
        # What is remembered of a data type belongs to these marks; None: to none.
        self._marks: dict[str, _Mark | None] = {}
        self.has_loaded = False
        """Whether models were loaded since the caller set this to False."""

    def take(
        self, handles: Handles, data_type: str, rows: Iterable[RoutedRow], now_ms: int
    ) -> Iterator[Emitted]:
        """Carries out a batch's rows of a data type, models before records.

        Args:
            handles: Spark's state, with the data type's key set.
            data_type: whose rows these are.
            rows: its model messages and vectors of records, in any order.
            now_ms: the batch's time, in epoch milliseconds.

        Yields:
            What goes to the topics.

        Raises:
            IncompatibleState: a newer version of this software wrote something in state.
            ContentUnavailable: the content of the model that serves is not available from the model store.
        """
        self._begin(handles, data_type)
        if self._state.care.pending:
            yield from self._admit(data_type, self._queue.advance(data_type), now_ms)
        patience_s = _AWAIT_MODEL_S
        for row in in_order(rows):
            if row.kind is Kind.MODEL:
                yield from self._admit(data_type, self._queue.offer(data_type, row.body), now_ms)
            elif row.kind is Kind.RECORDS:
                batches = self._codec.unpack(unpack_vector(row.body))
                if self._would_refuse(batches):
                    yield from self._await_model(data_type, patience_s, now_ms)
                    patience_s = 0.0
                yield from self._score(data_type, batches, now_ms)
        self._end(data_type, now_ms)

    def look(
        self, handles: Handles, data_type: str, due_ms: int, now_ms: int, *, ended: bool
    ) -> Iterator[Emitted]:
        """Carries out what a data type's timer is for.

        Args:
            handles: Spark's state, with the data type's key set.
            data_type: whose timer it is.
            due_ms: the timer's time, in epoch milliseconds.
            now_ms: the batch's time.
            ended: the inputs of a bounded run have ended, so that records that wait are given up.

        Yields:
            What goes to the topics.

        Raises:
            IncompatibleState: see ``take``.
            ContentUnavailable: see ``take``.
        """
        self._begin(handles, data_type)
        care = self._state.care
        if care.timer_ms == due_ms:
            care.timer_ms = 0
        if care.pending:
            yield from self._admit(data_type, self._queue.advance(data_type), now_ms)
        if 0 < care.retry_ms <= now_ms:
            yield from self._retry(data_type, now_ms)
        if ended and care.waiting:
            yield from self._hold_back(data_type, self._patience_s, now_ms)
            yield from self._desk.end(data_type)
        if 0 < care.remind_ms <= now_ms:
            reminder = self._desk.remind(data_type)
            care.remind_ms = now_ms + _REMIND_EVERY_MS
            if reminder is not None:
                yield reminder
        if 0 < care.collect_ms <= now_ms:
            self._collect(data_type)
        self._end(data_type, now_ms)

    def close(self) -> None:
        """Gives up loads and releases every model."""
        self._queue.close()
        self._desk.close()

    def _begin(self, handles: Handles, data_type: str) -> None:
        """Reads the marks of a data type, and forgets what is remembered of it with others."""
        care = self._state.open(handles, data_type)
        is_known, known = data_type in self._marks, self._marks.get(data_type)
        self._marks[data_type] = None
        if care.serving and (known is None or known[1] != care.serving):
            self.has_loaded = True
        if is_known and (known is None or known[0] != care.revision):
            same_model = known is not None and known[1] == care.serving
            self._desk.forget(data_type, same_model=same_model)
            self._queue.forget(data_type)

    def _end(self, data_type: str, now_ms: int) -> None:
        """Sets the data type's timer, and writes what has changed."""
        care = self._state.care
        if not care.waiting:
            care.remind_ms = care.retry_ms = 0
        pending_ms = now_ms + (self._queue.look_again_ms(data_type) or 1) if care.pending else 0
        end_ms = now_ms + 1 if self._bounded and care.waiting else 0
        wanted = [pending_ms, end_ms, care.remind_ms, care.retry_ms, care.collect_ms]
        self._state.set_timer(min(filter(None, wanted), default=0))
        self._state.save()
        self._marks[data_type] = (care.revision, care.serving)

    def _admit(self, data_type: str, emitted: Emitted, now_ms: int) -> Iterator[Emitted]:
        """What the queue has given; then carries out its activations."""
        yield emitted
        for _, order in emitted.activations:
            self.has_loaded = True
            for served in self._desk.carry_out(order):
                yield self._noted(data_type, served, now_ms)
        self._collect(data_type)

    def _would_refuse(self, batches: list[RecordBatch]) -> bool:
        """Whether a record would be lost because the first model of its data type has not loaded yet."""
        care = self._state.care
        if care.serving or not care.pending:
            return False
        admitted = (self._policy.admit(one.data_type, one.payloads, care.waiting) for one in batches)
        return any(one.waiting < len(batch) for one, batch in zip(admitted, batches, strict=True))

    def _await_model(self, data_type: str, seconds: float, now_ms: int) -> Iterator[Emitted]:
        """Waits until the data type has a model or none is being loaded, for up to ``seconds``."""
        end_ns = self._clock.monotonic_ns() + seconds * 1e9
        care = self._state.care
        while not care.serving and care.pending and self._clock.monotonic_ns() < end_ns:
            self._pause(_LOOK_S)
            yield from self._admit(data_type, self._queue.advance(data_type), now_ms)

    def _score(self, data_type: str, batches: list[RecordBatch], now_ms: int) -> Iterator[Emitted]:
        emitted = self._desk.take(Decoded(batches, []))
        yield self._noted(data_type, emitted, now_ms)
        if any(retry.full for retry in emitted.retries):
            yield from self._hold_back(data_type, _HOLD_BACK_S, now_ms)

    def _retry(self, data_type: str, now_ms: int) -> Iterator[Emitted]:
        self._state.care.retry_ms = 0
        for emitted in self._desk.retry(data_type):
            yield self._noted(data_type, emitted, now_ms)

    def _hold_back(self, data_type: str, seconds: float, now_ms: int) -> Iterator[Emitted]:
        """Waits until no record of the data type waits for a model server, for up to ``seconds``."""
        end_ns = self._clock.monotonic_ns() + seconds * 1e9
        while True:
            yield from self._retry(data_type, now_ms)
            left_s = (end_ns - self._clock.monotonic_ns()) / 1e9
            if not self._state.care.retry_ms or left_s <= 0:
                return
            self._pause(min(_LOOK_S, left_s))

    def _noted(self, data_type: str, emitted: Emitted, now_ms: int) -> Emitted:
        """The same output, after noting when to look at the data type again."""
        care = self._state.care
        if data_type in emitted.began_to_wait and not self._bounded:
            care.remind_ms = now_ms + _REMIND_AFTER_MS
        for retry in emitted.retries:
            care.retry_ms = now_ms + _soonest(care.retry_ms - now_ms, retry)
        return emitted

    def _collect(self, data_type: str) -> None:
        if not self._queue.waits(data_type):
            self._state.care.collect_ms = self._queue.collect(data_type) or 0


def _soonest(in_ms: int, retry: Retry) -> int:
    return min(in_ms, retry.in_ms) if in_ms > 0 else retry.in_ms
