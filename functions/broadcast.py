"""The broadcast variant: every instance has every model, the records of a data type are spread over all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyflink.common import Row
from pyflink.datastream import BroadcastProcessFunction, RuntimeContext

from functions.intake import payloads_of
from functions.metrics import ServingMetrics
from functions.outcomes import OutcomeWriter, refusals, swap_report
from functions.placement import Placement, subtask_index
from functions.swaps import broadcast_reporter
from functions.types import SWAPS, UNMATCHED, broadcast_models
from model_serving.assembly import build_server, check_interpreter_state
from model_serving.core.state import decode_activation, decode_model, encode_model
from model_serving.settings import ServingSettings
from model_serving.wire import RecordCodec

__all__ = ["BroadcastModelServing"]


class BroadcastModelServing(BroadcastProcessFunction):
    """Vectors of records and broadcast (data type, activation) → results.

    Broadcast functions have neither keyed state nor timers, so records without a model leave by
    ``UNMATCHED``, to wait in an operator that has both.
    """

    def __init__(self, settings: ServingSettings) -> None:
        self._settings = settings

    def open(self, runtime_context: RuntimeContext) -> None:
        check_interpreter_state()
        self._subtask = subtask_index(runtime_context)
        self._metrics = ServingMetrics(runtime_context)
        self._outcomes = OutcomeWriter(self._settings, self._metrics)
        self._placement = Placement(runtime_context)
        self._codec = RecordCodec(self._settings.record_type)
        self._server = build_server(self._settings, self._codec)
        self._models = broadcast_models()

    def process_element(self, value: Any, ctx: BroadcastProcessFunction.ReadOnlyContext) -> Iterator[Any]:
        decoded = self._codec.decode(payloads_of(value))
        yield from refusals(decoded, self._settings)
        unmatched = []
        for batch in decoded.batches:
            if self._server.serves(batch.data_type) or self._restored(batch.data_type, ctx):
                yield from self._outcomes.write(self._server.serve(batch))
            else:
                unmatched.append(batch)
        for batches in self._placement.together(unmatched):
            yield UNMATCHED, Row(batches[0].data_type, self._codec.pack(batches))

    def process_broadcast_element(
        self, value: tuple[str, bytes], ctx: BroadcastProcessFunction.Context
    ) -> Iterator[Any]:
        activation = decode_activation(value[1])
        models = ctx.get_broadcast_state(self._models)
        if activation.model is None:
            self._server.deactivate(activation.data_type)
            models.remove(activation.data_type)
        else:
            self._server.activate(activation.model, fallback=activation.fallback)
            models.put(activation.data_type, encode_model(activation.model))
        self._metrics.swaps.inc()
        yield SWAPS, swap_report(activation, self._subtask, broadcast_reporter(self._subtask))

    def close(self) -> None:
        # Flink calls this after an open that failed too, and an error here ends the whole TaskManager.
        if hasattr(self, "_server"):
            self._server.close()

    def _restored(self, data_type: str, ctx: BroadcastProcessFunction.ReadOnlyContext) -> bool:
        saved = ctx.get_broadcast_state(self._models).get(data_type)
        if saved is None:
            return False
        self._server.activate(decode_model(saved))
        return True
