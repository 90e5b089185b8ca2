"""The operator that admits models, for both variants; it is keyed by data type."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyflink.datastream import KeyedProcessFunction, RuntimeContext

from functions.chunks import Arrivals
from functions.emitting import emit
from functions.guards import GuardTimers
from functions.metrics import ServingMetrics
from functions.placement import subtask_index
from functions.process import build_parts, check_interpreter_state
from functions.state import KeyedKeptModels, KeyedPendingModels
from functions.statistics import InstanceStatistics
from model_serving.core.channels import Channel, Emitted
from model_serving.settings import ServingSettings

__all__ = ["ModelAdmission"]


class ModelAdmission(KeyedProcessFunction):  # type: ignore[misc]
    """Model messages in chunks → ``ACTIVATIONS`` for admitted models; statuses and dead letters for others.

    Slow work runs in threads beside this operator, so neither a checkpoint barrier nor another data type's
    model waits for it. Until the work ends, the messages are in state, and a timer looks after the first one
    of each data type. In a bounded run such timers end with the input, so it waits for each message. When the
    first message of a data type has to wait, it sets guard timers too, which no restore loses.
    """

    def __init__(self, settings: ServingSettings) -> None:
        self._settings = settings
        # Data type → the time of its next timer, if it was registered since the start.
        self._due: dict[str, int] = {}
        self._guards = GuardTimers()
        self._arrivals = Arrivals()

    def open(self, runtime_context: RuntimeContext) -> None:
        """Makes the queue of model messages.

        Raises:
            RuntimeError: another Python operator shares this thread.
        """
        check_interpreter_state()
        subtask = subtask_index(runtime_context)
        self._metrics = ServingMetrics(runtime_context)
        self._statistics = InstanceStatistics(self._settings, "admit-models", subtask)
        self._queue = build_parts(self._settings, self._statistics.recorder).queue(
            KeyedKeptModels(runtime_context), KeyedPendingModels(runtime_context), subtask
        )

    def process_element(self, value: tuple[bytes, int], ctx: KeyedProcessFunction.Context) -> Iterator[Any]:
        """Takes a chunk of a model message; with the last one the message, and timers if it has to wait."""
        data_type = ctx.get_current_key()
        payload = self._arrivals.add(data_type, *value)
        if payload is None:
            return
        yield from self._emit(self._queue.offer(data_type, payload))
        if self._queue.waits(data_type):
            self._guards.set(data_type, ctx.timer_service())
            if data_type not in self._due:
                self._look_later(data_type, ctx)
        else:
            self._rest(data_type, ctx)

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterator[Any]:
        """Carries out the pending messages of the data type that are prepared."""
        data_type = ctx.get_current_key()
        if timestamp >= self._due.get(data_type, 0):
            self._due.pop(data_type, None)
            yield from self._emit(self._queue.advance(data_type))
            if self._queue.waits(data_type):
                self._look_later(data_type, ctx)
        if not self._queue.waits(data_type):
            self._rest(data_type, ctx)

    def close(self) -> None:
        """Gives up loads and releases every model."""
        # Flink also calls this after ``open`` has failed, and an error here ends the whole TaskManager.
        if hasattr(self, "_queue"):
            self._queue.close()
        if hasattr(self, "_statistics"):
            self._statistics.close()

    def _emit(self, emitted: Emitted) -> Iterator[Any]:
        self._metrics.add(emitted.counts)
        return emit(emitted, main=Channel.STATUSES)

    def _look_later(self, data_type: str, ctx: Any) -> None:
        wait_ms = self._queue.look_again_ms(data_type)
        if wait_ms is not None:
            timers = ctx.timer_service()
            self._due[data_type] = timers.current_processing_time() + wait_ms
            timers.register_processing_time_timer(self._due[data_type])

    def _rest(self, data_type: str, ctx: Any) -> None:
        """Deletes the guard timers and cleans up the model store; no message of the data type waits."""
        timers = ctx.timer_service()
        self._due.pop(data_type, None)
        self._guards.clear(data_type, timers)
        collection_ms = self._queue.collect(data_type)
        if collection_ms is not None:
            timers.register_processing_time_timer(collection_ms)
