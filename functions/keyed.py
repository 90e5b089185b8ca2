"""The keyed variant: the model of a data type is in state beside the records that it scores."""

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
"""A time that only the watermark at the end of bounded inputs reaches."""


class KeyedModelServing(KeyedCoProcessFunction):
    """(data type, activation) and packed batches of records → results.

    In a bounded run, a data type whose records wait gets a timer for the end of the input.
    """

    def __init__(self, settings: ServingSettings) -> None:
        self._settings = settings

    def open(self, runtime_context: RuntimeContext) -> None:
        check_interpreter_state()
        self._metrics = ServingMetrics(runtime_context)
        self._key = CurrentKey(runtime_context)
        self._waiting = KeyedWaitingRecords(runtime_context, self._key)
        parts = build_parts(self._settings)
        self._codec = parts.codec
        self._desk = parts.desk(
            KeyedActiveModels(runtime_context, self._key),
            self._waiting,
            KEYED,
            subtask_index(runtime_context),
        )

    def process_element1(
        self, value: tuple[str, bytes], ctx: KeyedCoProcessFunction.Context
    ) -> Iterator[Any]:
        data_type, order = value
        self._key.is_now(data_type)
        for emitted in self._desk.carry_out(order):
            yield from self._emit(emitted)

    def process_element2(self, value: PackedBatches, ctx: KeyedCoProcessFunction.Context) -> Iterator[Any]:
        self._key.is_now(None)
        yield from self._emit(self._desk.take(Decoded(self._codec.unpack(value), [])))
        for data_type in self._waiting.newly():
            if self._settings.waiting.bounded:
                self._key.become(data_type)
                ctx.timer_service().register_event_time_timer(_END_OF_INPUT)

    def on_timer(self, timestamp: int, ctx: KeyedCoProcessFunction.OnTimerContext) -> Iterator[Any]:
        """The end of a bounded run: what still waits has no model."""
        data_type = ctx.get_current_key()
        self._key.is_now(data_type)
        for emitted in self._desk.end(data_type):
            yield from self._emit(emitted)

    def close(self) -> None:
        # Flink calls this after an open that failed too, and an error here ends the whole TaskManager.
        if hasattr(self, "_desk"):
            self._desk.close()

    def _emit(self, emitted: Emitted) -> Iterator[Any]:
        self._metrics.add(emitted.counts)
        return emit(emitted)
