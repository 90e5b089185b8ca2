"""The keyed variant: the instance that gets the records of a data type has its model in keyed state."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator
from typing import Any

from pyflink.datastream import KeyedCoProcessFunction, RuntimeContext

from functions.emitting import emit
from functions.guards import GuardTimers
from functions.metrics import ServingMetrics
from functions.placement import CurrentKey, subtask_index
from functions.process import build_parts, check_interpreter_state
from functions.state import KeyedActiveModels, KeyedWaitingRecords
from functions.statistics import InstanceStatistics
from functions.swaps import KEYED
from model_serving.core.batches import Decoded
from model_serving.core.channels import Emitted, Retry
from model_serving.settings import ServingSettings
from model_serving.wire import PackedBatches

__all__ = ["KeyedModelServing"]

_END_OF_INPUT = 2**63 - 2
"""A time in epoch milliseconds that only the watermark at the end of bounded inputs reaches."""

_REMIND_AFTER_MS = 10_000
"""How long records wait before the status topic says so."""

_REMIND_EVERY_MS = 60_000
"""How often the status topic says so again, if more records wait by then."""

_HOLD_BACK_S = 1.0
"""How long records that find the buffer full hold up the next ones, in seconds. A checkpoint barrier waits as
long, so the next ones are then taken all the same: while a model server is away, the buffer grows beyond its
limit by what comes in one element a second."""

_LOOK_S = 0.1
"""How often this operator looks in the meantime whether the server is back, in seconds."""


def _pause(seconds: float) -> None:
    time.sleep(seconds)


class KeyedModelServing(KeyedCoProcessFunction):
    """(data type, activation) and packed batches of records → results.

    A data type whose records wait gets a timer: in a bounded run for the end of the input, otherwise for a
    status that says that records wait. In process mode the latter timer may be missing after a restart;
    nothing else depends on it.

    A data type whose records wait for a model server gets a timer for each time that the desk wants to look
    whether it is back, and guard timers, which no restore loses.
    """

    def __init__(self, settings: ServingSettings, operator: str = "serve") -> None:
        """``operator`` is the operator's name in statistics."""
        self._settings = settings
        self._operator = operator
        # Data type → the time of its next timer of a kind, if it was registered since the start.
        self._retries: dict[str, int] = {}
        self._reminders: dict[str, int] = {}
        self._guards = GuardTimers()

    def open(self, runtime_context: RuntimeContext) -> None:
        """Makes the desk that scores.

        Raises:
            RuntimeError: another Python operator shares this thread.
            ValueError: the key file cannot be read, or has no key in it.
        """
        check_interpreter_state()
        self._metrics = ServingMetrics(runtime_context)
        self._key = CurrentKey(runtime_context)
        subtask = subtask_index(runtime_context)
        self._statistics = InstanceStatistics(self._settings, self._operator, subtask)
        parts = build_parts(self._settings, self._statistics.recorder)
        self._codec = parts.codec
        self._desk = parts.desk(
            KeyedActiveModels(runtime_context, self._key),
            KeyedWaitingRecords(runtime_context, self._key),
            KEYED,
            subtask,
        )

    def process_element1(
        self, value: tuple[str, bytes], ctx: KeyedCoProcessFunction.Context
    ) -> Iterator[Any]:
        """Carries out an activation."""
        data_type, order = value
        self._key.is_now(data_type)
        retries = yield from self._emit_all(self._desk.carry_out(order))
        self._look_after(data_type, retries, ctx, guarded=True)

    def process_element2(self, value: PackedBatches, ctx: KeyedCoProcessFunction.Context) -> Iterator[Any]:
        """Scores batches of records; registers a timer for each data type whose records begin to wait."""
        self._key.is_now(None)
        emitted = self._desk.take(Decoded(self._codec.unpack(value), []))
        yield from self._emit(emitted)
        for data_type in emitted.began_to_wait:
            self._key.become(data_type)
            if self._settings.waiting.bounded:
                ctx.timer_service().register_event_time_timer(_END_OF_INPUT)
            else:
                self._remind_in(data_type, _REMIND_AFTER_MS, ctx)
        for retry in emitted.retries:
            self._key.become(retry.data_type)
            self._look_after(retry.data_type, [retry], ctx, guarded=True)
        full = [retry.data_type for retry in emitted.retries if retry.full]
        if full:
            yield from self._hold_back(full, _HOLD_BACK_S, ctx)

    def on_timer(self, timestamp: int, ctx: KeyedCoProcessFunction.OnTimerContext) -> Iterator[Any]:
        """Looks after waiting records: whether they can be scored now, or that somebody should know of them.

        At the end of a bounded run it gives them up. A timer from before a restart may be of any kind.
        """
        data_type = ctx.get_current_key()
        self._key.is_now(data_type)
        if timestamp == _END_OF_INPUT:
            # No timer of processing time fires any more.
            yield from self._hold_back([data_type], self._settings.remote_timeout_ms / 1000, ctx)
            yield from self._emit_all(self._desk.end(data_type))
            return
        is_reminder = timestamp == self._reminders.get(data_type)
        is_retry = timestamp == self._retries.get(data_type)
        if is_retry or not is_reminder:
            retries = yield from self._emit_all(self._desk.retry(data_type))
            self._look_after(data_type, retries, ctx)
        if is_reminder or not is_retry:
            reminder = self._desk.remind(data_type)
            if reminder is not None:
                yield from self._emit(reminder)
                self._remind_in(data_type, _REMIND_EVERY_MS, ctx)

    def close(self) -> None:
        """Releases every model."""
        # Flink also calls this after ``open`` has failed, and an error here ends the whole TaskManager.
        if hasattr(self, "_desk"):
            self._desk.close()
        if hasattr(self, "_statistics"):
            self._statistics.close()

    def _hold_back(self, data_types: list[str], seconds: float, ctx: Any) -> Iterator[Any]:
        """Waits until no record of these data types waits any more, for up to ``seconds``."""
        end_s = time.monotonic() + seconds
        while data_types:
            waiting = []
            for data_type in data_types:
                self._key.become(data_type)
                retries = yield from self._emit_all(self._desk.retry(data_type))
                self._look_after(data_type, retries, ctx, guarded=True)
                if retries:
                    waiting.append(data_type)
            data_types = waiting
            left_s = end_s - time.monotonic()
            if left_s <= 0:
                return
            if data_types:
                _pause(min(_LOOK_S, left_s))

    def _look_after(
        self, data_type: str, retries: Iterable[Retry], ctx: Any, *, guarded: bool = False
    ) -> None:
        """Registers the timer for the next look at a model server, or clears up if nothing waits for one.

        The data type is the current key; ``guarded``: this is not called for a timer.
        """
        timers = ctx.timer_service()
        wait_ms = min((retry.in_ms for retry in retries), default=None)
        if wait_ms is None:
            self._retries.pop(data_type, None)
            self._guards.clear(data_type, timers)
            return
        if guarded:
            self._guards.set(data_type, timers)
        now_ms = timers.current_processing_time()
        due_ms = self._retries.get(data_type, 0)
        if not now_ms < due_ms <= now_ms + wait_ms:
            self._retries[data_type] = now_ms + wait_ms
            timers.register_processing_time_timer(now_ms + wait_ms)

    def _remind_in(self, data_type: str, delay_ms: int, ctx: Any) -> None:
        timers = ctx.timer_service()
        now_ms = timers.current_processing_time()
        if self._reminders.get(data_type, 0) <= now_ms:
            self._reminders[data_type] = now_ms + delay_ms
            timers.register_processing_time_timer(now_ms + delay_ms)

    def _emit_all(self, given: Iterable[Emitted]) -> Generator[Any, None, list[Retry]]:
        """Emits everything; returns the last answer's retries."""
        retries: list[Retry] = []
        for emitted in given:
            yield from self._emit(emitted)
            retries = emitted.retries
        return retries

    def _emit(self, emitted: Emitted) -> Iterator[Any]:
        self._metrics.add(emitted.counts)
        return emit(emitted)
