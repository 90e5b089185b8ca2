"""The keyed variant: the instance that gets the records of a data type has its model in keyed state."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyflink.datastream import KeyedCoProcessFunction, RuntimeContext

from functions.emitting import emit
from functions.metrics import ServingMetrics
from functions.placement import CurrentKey, subtask_index
from functions.process import build_parts, check_interpreter_state
from functions.state import KeyedActiveModels, KeyedWaitingRecords
from functions.swaps import KEYED
from model_serving.core.batches import Decoded
from model_serving.core.channels import Emitted
from model_serving.settings import ServingSettings
from model_serving.wire import PackedBatches

__all__ = ["KeyedModelServing"]

_END_OF_INPUT = 2**63 - 2
"""A time in epoch milliseconds that only the watermark at the end of bounded inputs reaches."""

_REMIND_AFTER_MS = 10_000
"""How long records wait for a model before the status topic says so."""

_REMIND_EVERY_MS = 60_000
"""How often the status topic says so again, if more records wait by then."""


class KeyedModelServing(KeyedCoProcessFunction):
    """(data type, activation) and packed batches of records → results.

    A data type whose records wait gets a timer: in a bounded run for the end of the input, otherwise for a
    status that says that records wait. In process mode the latter timer may be missing after a restart;
    nothing else depends on it.
    """

    def __init__(self, settings: ServingSettings) -> None:
        self._settings = settings

    def open(self, runtime_context: RuntimeContext) -> None:
        """Makes the desk that scores.

        Raises:
            RuntimeError: another Python operator shares this thread.
            ValueError: the key file cannot be read, or has no key in it.
        """
        check_interpreter_state()
        self._metrics = ServingMetrics(runtime_context)
        self._key = CurrentKey(runtime_context)
        parts = build_parts(self._settings)
        self._codec = parts.codec
        self._desk = parts.desk(
            KeyedActiveModels(runtime_context, self._key),
            KeyedWaitingRecords(runtime_context, self._key),
            KEYED,
            subtask_index(runtime_context),
        )

    def process_element1(
        self, value: tuple[str, bytes], ctx: KeyedCoProcessFunction.Context
    ) -> Iterator[Any]:
        """Carries out an activation."""
        data_type, order = value
        self._key.is_now(data_type)
        for emitted in self._desk.carry_out(order):
            yield from self._emit(emitted)

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
                self._remind_in(_REMIND_AFTER_MS, ctx)

    def on_timer(self, timestamp: int, ctx: KeyedCoProcessFunction.OnTimerContext) -> Iterator[Any]:
        """Gives up waiting records at the end of a bounded run; otherwise reports that records wait."""
        data_type = ctx.get_current_key()
        self._key.is_now(data_type)
        if timestamp == _END_OF_INPUT:
            for emitted in self._desk.end(data_type):
                yield from self._emit(emitted)
            return
        reminder = self._desk.remind(data_type)
        if reminder is not None:
            yield from self._emit(reminder)
            self._remind_in(_REMIND_EVERY_MS, ctx)

    def close(self) -> None:
        """Releases every model."""
        # Flink also calls this after ``open`` has failed, and an error here ends the whole TaskManager.
        if hasattr(self, "_desk"):
            self._desk.close()

    def _remind_in(self, delay_ms: int, ctx: Any) -> None:
        timers = ctx.timer_service()
        timers.register_processing_time_timer(timers.current_processing_time() + delay_ms)

    def _emit(self, emitted: Emitted) -> Iterator[Any]:
        self._metrics.add(emitted.counts)
        return emit(emitted)
