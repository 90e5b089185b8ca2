"""The broadcast variant: every instance has every model, and any instance scores any record."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyflink.common import Row
from pyflink.datastream import BroadcastProcessFunction, RuntimeContext

from functions.emitting import emit
from functions.intake import payloads_of
from functions.metrics import ServingMetrics
from functions.placement import Placement, subtask_index
from functions.process import build_parts, check_interpreter_state
from functions.state import BroadcastActiveModels
from functions.statistics import InstanceStatistics
from functions.swaps import broadcast_reporter
from functions.types import UNMATCHED, broadcast_models
from model_serving.settings import ServingSettings

__all__ = ["BroadcastModelServing"]


class BroadcastModelServing(BroadcastProcessFunction):
    """Vectors of records and broadcast (data type, activation) → results.

    Broadcast functions have neither keyed state nor timers, so records without a model leave by
    ``UNMATCHED`` and wait in an operator that has both.
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
        subtask = subtask_index(runtime_context)
        self._metrics = ServingMetrics(runtime_context)
        self._placement = Placement(runtime_context)
        self._active = BroadcastActiveModels()
        self._models = broadcast_models()
        self._statistics = InstanceStatistics(self._settings, "serve", subtask)
        parts = build_parts(self._settings, self._statistics.recorder)
        self._codec = parts.codec
        self._desk = parts.desk(self._active, None, broadcast_reporter(subtask), subtask)

    def process_element(self, value: Any, ctx: BroadcastProcessFunction.ReadOnlyContext) -> Iterator[Any]:
        """Scores the records of a vector."""
        self._active.state = ctx.get_broadcast_state(self._models)
        emitted = self._desk.take(self._codec.decode(payloads_of(value)))
        self._metrics.add(emitted.counts)
        yield from emit(emitted)
        for batches in self._placement.together(emitted.unmatched):
            yield UNMATCHED, Row(batches[0].data_type, self._codec.pack(batches))

    def process_broadcast_element(
        self, value: tuple[str, bytes], ctx: BroadcastProcessFunction.Context
    ) -> Iterator[Any]:
        """Carries out an activation."""
        self._active.state = ctx.get_broadcast_state(self._models)
        for emitted in self._desk.carry_out(value[1]):
            self._metrics.add(emitted.counts)
            yield from emit(emitted)

    def close(self) -> None:
        """Releases every model."""
        # Flink also calls this after ``open`` has failed, and an error here ends the whole TaskManager.
        if hasattr(self, "_desk"):
            self._desk.close()
        if hasattr(self, "_statistics"):
            self._statistics.close()
