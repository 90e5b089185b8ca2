"""The keyed variant: the model of a data type is in state beside the records that it scores."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyflink.datastream import KeyedCoProcessFunction, RuntimeContext

from functions.metrics import ServingMetrics
from functions.outcomes import OutcomeWriter, refusals, swap_report
from functions.placement import CurrentKey, subtask_index
from functions.swaps import KEYED
from functions.types import ACTIVE_MODEL, DEAD_LETTERS, SWAPS, WAITING, WAITING_COUNT
from model_serving.assembly import CLOCK, build_server, check_interpreter_state
from model_serving.core.batches import RecordBatch
from model_serving.core.errors import NoModel
from model_serving.core.letters import dead_letter
from model_serving.core.state import (
    decode_activation,
    decode_model,
    decode_payloads,
    encode_model,
    encode_payloads,
)
from model_serving.settings import ServingSettings
from model_serving.wire import PackedBatches, RecordCodec, encode_dead_letter

__all__ = ["KeyedModelServing"]

_END_OF_INPUT = 2**63 - 2
"""A time that only the watermark at the end of bounded inputs reaches."""

_WAITING_BATCH = 512
"""Records that waited are scored this many at a time: a full buffer at once would hold up a checkpoint."""


class KeyedModelServing(KeyedCoProcessFunction):
    """(data type, activation) and packed batches of records → results.

    The loaded model is a cache over the bytes in state: after a restore it is loaded at first use. The path
    of records that have a model touches no state.
    """

    def __init__(self, settings: ServingSettings) -> None:
        self._settings = settings

    def open(self, runtime_context: RuntimeContext) -> None:
        check_interpreter_state()
        self._subtask = subtask_index(runtime_context)
        self._metrics = ServingMetrics(runtime_context)
        self._outcomes = OutcomeWriter(self._settings, self._metrics)
        self._key = CurrentKey(runtime_context)
        self._codec = RecordCodec(self._settings.record_type)
        self._server = build_server(self._settings, self._codec)
        self._active_model = runtime_context.get_state(ACTIVE_MODEL)
        self._waiting = runtime_context.get_list_state(WAITING)
        self._waiting_count = runtime_context.get_state(WAITING_COUNT)

    def process_element1(
        self, value: tuple[str, bytes], ctx: KeyedCoProcessFunction.Context
    ) -> Iterator[Any]:
        activation = decode_activation(value[1])
        if activation.model is None:
            self._server.deactivate(activation.data_type)
            self._active_model.clear()
        else:
            self._server.activate(activation.model, fallback=activation.fallback)
            self._active_model.update(encode_model(activation.model))
        self._metrics.swaps.inc()
        yield SWAPS, swap_report(activation, self._subtask, KEYED)
        if activation.model is not None:
            yield from self._serve_waiting()

    def process_element2(self, value: PackedBatches, ctx: KeyedCoProcessFunction.Context) -> Iterator[Any]:
        for batch in self._codec.unpack(value):
            if self._server.serves(batch.data_type) or self._restored(batch.data_type):
                yield from self._outcomes.write(self._server.serve(batch))
            else:
                yield from self._without_model(batch, ctx)

    def on_timer(self, timestamp: int, ctx: KeyedCoProcessFunction.OnTimerContext) -> Iterator[Any]:
        """The end of a bounded run: what still waits has no model."""
        data_type = ctx.get_current_key()
        error = self._settings.waiting.at_end(data_type)
        for payload in self._take_waiting():
            yield from self._refuse(data_type, payload, error)

    def close(self) -> None:
        # Flink calls this after an open that failed too, and an error here ends the whole TaskManager.
        if hasattr(self, "_server"):
            self._server.close()

    def _restored(self, data_type: str) -> bool:
        self._key.become(data_type)
        saved = self._active_model.value()
        if saved is None:
            return False
        self._server.activate(decode_model(saved))
        return True

    def _serve_waiting(self) -> Iterator[Any]:
        payloads = self._take_waiting()
        for start in range(0, len(payloads), _WAITING_BATCH):
            decoded = self._codec.decode(payloads[start : start + _WAITING_BATCH])
            # Nothing is refused or of another data type, unless the job came back with another record type.
            yield from refusals(decoded, self._settings)
            for batch in decoded.batches:
                if self._server.serves(batch.data_type):
                    yield from self._outcomes.write(self._server.serve(batch))
                else:
                    error = NoModel(batch.data_type, "the record waited under another record type")
                    for payload in batch.payloads:
                        yield from self._refuse(batch.data_type, payload, error)

    def _without_model(self, batch: RecordBatch, ctx: KeyedCoProcessFunction.Context) -> Iterator[Any]:
        data_type, payloads = batch.data_type, batch.payloads
        count = self._waiting_count.value() or 0
        admitted = self._settings.waiting.admit(data_type, payloads, count)
        if admitted.waiting:
            self._waiting.add(encode_payloads(payloads[: admitted.waiting]))
            self._waiting_count.update(count + admitted.waiting)
            if self._settings.waiting.bounded:
                ctx.timer_service().register_event_time_timer(_END_OF_INPUT)
        for payload in payloads[admitted.waiting :]:
            yield from self._refuse(data_type, payload, admitted.error)

    def _take_waiting(self) -> list[bytes]:
        if not self._waiting_count.value():
            return []
        payloads = [payload for batch in self._waiting.get() for payload in decode_payloads(batch)]
        self._waiting.clear()
        self._waiting_count.clear()
        return payloads

    def _refuse(self, data_type: str, payload: bytes, error: NoModel | None) -> Iterator[Any]:
        if error is None:
            self._metrics.dropped.inc()
            return
        self._metrics.dead_letters.inc()
        letter = dead_letter(error, payload, self._settings.data_topic, CLOCK.epoch_ms(), data_type=data_type)
        yield DEAD_LETTERS, encode_dead_letter(letter, self._settings.dead_letter_limit)
