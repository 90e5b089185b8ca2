"""The operator that decides which models are let in, for both variants: keyed by data type."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import Any

from pyflink.datastream import KeyedProcessFunction, RuntimeContext

from functions.model_line import Attempt, Line, PendingMessages
from functions.outcomes import rejection
from functions.placement import subtask_index
from functions.types import ACTIVATIONS, DEAD_LETTERS, HISTORY, KEPT_MODELS
from model_serving.assembly import CLOCK, build_admission, build_loads, check_interpreter_state
from model_serving.core.admission.loads import Load
from model_serving.core.admission.preparation import Prepared
from model_serving.core.errors import ModelRejected
from model_serving.core.messages import ModelToServe
from model_serving.core.state import (
    History,
    decode_history,
    decode_model,
    encode_activation,
    encode_history,
    encode_model,
)
from model_serving.settings import ServingSettings
from model_serving.wire import RecordCodec, parse_descriptor, read_model

__all__ = ["ModelAdmission"]

_QUICK_S = 0.01
"""A barrier may wait for this long."""

_CLOSE_PATIENCE_S = 2.0
"""A thread that is within a model library when the process ends can make it end with an error."""

_GUARDS_MS = tuple(1000 << doubled for doubled in range(31))
"""When to look after what is pending in any case, after it began to be: 1 s, 2 s, 4 s … 34 years."""

_MOST_PENDING_BYTES = 128 << 20
"""When more of the models topic waits, the operator waits too, and reads no further."""


class _KeptInState:
    """The models of the current key, in Flink state."""

    def __init__(self, context: RuntimeContext) -> None:
        self._history = context.get_state(HISTORY)
        self._models = context.get_map_state(KEPT_MODELS)

    def history(self) -> History:
        return decode_history(self._history.value())

    def save_history(self, history: History) -> None:
        self._history.update(encode_history(history))

    def model(self, version: str) -> ModelToServe:
        return decode_model(self._models.get(version))

    def save_model(self, model: ModelToServe) -> None:
        self._models.put(model.version, encode_model(model))

    def drop_model(self, version: str) -> None:
        self._models.remove(version)


class ModelAdmission(KeyedProcessFunction):  # type: ignore[misc]
    """(data type, model message) → ``ACTIVATIONS`` of models that were let in; statuses of the others.

    What is slow runs in threads beside this operator, so neither a checkpoint barrier nor another data type's
    model waits for it. The messages meanwhile are in state, and a timer looks after the first one of each
    data type. A bounded run, in which such timers end with the input, waits for each message.

    A timer that ``on_timer`` registers may be missing in a checkpoint that has the messages: in process mode
    Flink may draw one between the timer that fired and the next. What ``process_element`` registers is never
    missing (``flink_jobs.environment.stream_graph``). So the first message of a data type that has to wait
    registers guards, into a future that no restore can come after: whichever checkpoint a job comes back
    from, the message that is pending there is looked after, at the latest when it is twice as old.
    """

    def __init__(self, settings: ServingSettings) -> None:
        self._settings = settings

    def open(self, runtime_context: RuntimeContext) -> None:
        check_interpreter_state()
        self._subtask = subtask_index(runtime_context)
        self._kept = _KeptInState(runtime_context)
        self._pending = PendingMessages(runtime_context)
        self._admission = build_admission(self._settings, RecordCodec(self._settings.record_type))
        self._loads = build_loads(self._settings)

    def process_element(self, value: tuple[str, bytes], ctx: KeyedProcessFunction.Context) -> Iterator[Any]:
        data_type, payload = value
        line = self._pending.line(data_type)
        if not line.waiting:
            attempt = self._begin(payload)
            outcome = self._outcome(attempt, self._patience_s(attempt))
            if outcome is not None:
                yield from outcome
                self._collect(line, ctx)
                return
            line.attempt = attempt
            self._look_later(line, attempt, ctx)
        if not line.guards:
            self._guard(line, ctx)
        self._pending.add(data_type, line, payload)
        if self._settings.waiting.bounded or self._pending.bytes > _MOST_PENDING_BYTES:
            yield from self._advance(data_type, line, ctx, wait_s=inf)
            self._collect(line, ctx)

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterator[Any]:
        data_type = ctx.get_current_key()
        line = self._pending.line(data_type)
        if timestamp >= line.due:
            yield from self._advance(data_type, line, ctx, wait_s=0.0)
        self._collect(line, ctx)

    def close(self) -> None:
        # Flink calls this after an open that failed too, and an error here ends the whole TaskManager.
        if hasattr(self, "_loads"):
            self._loads.close(_CLOSE_PATIENCE_S)
        if hasattr(self, "_admission"):
            self._admission.close()

    def _advance(self, data_type: str, line: Line, ctx: Any, wait_s: float) -> Iterator[Any]:
        """Carries out what is prepared, in order, and begins with the next."""
        spent_ns, start_ns = _QUICK_S * 1e9, CLOCK.monotonic_ns()
        while line.waiting:
            patience_s = wait_s
            if line.attempt is None:
                line.attempt = self._begin(self._pending.first(line))
                if CLOCK.monotonic_ns() - start_ns < spent_ns:
                    patience_s = max(wait_s, self._patience_s(line.attempt))
            outcome = self._outcome(line.attempt, patience_s)
            if outcome is None:
                self._look_later(line, line.attempt, ctx)
                return
            self._pending.remove_first(data_type, line)
            yield from outcome
        for time_ms in line.guards:
            ctx.timer_service().delete_processing_time_timer(time_ms)

    def _begin(self, payload: bytes) -> Attempt:
        descriptor = parse_descriptor(payload)
        under_way: Load[Prepared] | Prepared | ModelRejected
        try:
            preparation = self._admission.preparation(read_model(descriptor), self._kept)
            under_way = self._loads.start(preparation.run) if preparation.loads else preparation.run()
        except ModelRejected as error:
            # With its frames it would hold the message until Python's cyclic collector comes by.
            under_way = error.with_traceback(None)
        return Attempt(payload, descriptor.dataType, descriptor.name, descriptor.version, under_way)

    def _patience_s(self, attempt: Attempt) -> float:
        """How long to wait at once: what loads in no time needs no timer, but many would add up."""
        if self._settings.waiting.bounded:
            return inf
        is_alone = isinstance(attempt.under_way, Load) and self._loads.is_alone(attempt.under_way)
        return _QUICK_S if is_alone else 0.0

    def _outcome(self, attempt: Attempt, wait_s: float) -> tuple[Any, ...] | None:
        """What is given out when the message is carried out; None while its preparation runs."""
        under_way = attempt.under_way
        if isinstance(under_way, ModelRejected):
            return self._refused(under_way, attempt)
        try:
            prepared = self._loads.result(under_way, wait_s) if isinstance(under_way, Load) else under_way
            if prepared is None:
                return None
            activation = self._admission.complete(prepared, self._kept)
        except ModelRejected as error:
            return self._refused(error, attempt)
        return ((ACTIVATIONS, (activation.data_type, encode_activation(activation))),)

    def _refused(self, error: ModelRejected, attempt: Attempt) -> tuple[Any, ...]:
        letter, status = rejection(
            error,
            attempt.payload,
            self._settings,
            self._subtask,
            data_type=attempt.data_type,
            name=attempt.name,
            version=attempt.version,
        )
        return (DEAD_LETTERS, letter), status

    def _collect(self, line: Line, ctx: Any) -> None:
        """Deletes what the model store need not hold, once nothing is under way that may need it again."""
        if line.waiting:
            return
        due = self._admission.collect(self._kept)
        if due is not None:
            ctx.timer_service().register_processing_time_timer(due)

    def _guard(self, line: Line, ctx: KeyedProcessFunction.Context) -> None:
        timers = ctx.timer_service()
        now_ms = timers.current_processing_time()
        line.guards = tuple(now_ms + delay_ms for delay_ms in _GUARDS_MS)
        for time_ms in line.guards:
            timers.register_processing_time_timer(time_ms)

    def _look_later(self, line: Line, attempt: Attempt, ctx: Any) -> None:
        timers = ctx.timer_service()
        if isinstance(attempt.under_way, Load):
            line.due = timers.current_processing_time() + self._loads.look_in_ms(attempt.under_way)
            timers.register_processing_time_timer(line.due)
