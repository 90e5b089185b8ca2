"""The operator that decides which models are let in, for both variants: keyed by data type."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyflink.datastream import KeyedProcessFunction, RuntimeContext

from functions.core.errors import ModelRejected
from functions.core.messages import ModelToServe
from functions.core.state import (
    History,
    decode_history,
    decode_model,
    encode_activation,
    encode_history,
    encode_model,
)
from functions.flink_types import ACTIVATIONS, DEAD_LETTERS, HISTORY, KEPT_MODELS, subtask_index
from functions.outcomes import rejection
from functions.parts import build_admission, check_interpreter_state
from functions.settings import ServingSettings
from functions.wire import RecordCodec, parse_descriptor, read_model

__all__ = ["ModelAdmission"]


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

    It runs beside the operators that serve: loading and checking a model does not keep a record waiting.
    """

    def __init__(self, settings: ServingSettings) -> None:
        self._settings = settings

    def open(self, runtime_context: RuntimeContext) -> None:
        check_interpreter_state()
        self._subtask = subtask_index(runtime_context)
        self._kept = _KeptInState(runtime_context)
        self._admission = build_admission(self._settings, RecordCodec(self._settings.record_type))

    def process_element(self, value: tuple[str, bytes], ctx: KeyedProcessFunction.Context) -> Iterator[Any]:
        data_type, payload = value
        descriptor = parse_descriptor(payload)
        try:
            activation = self._admission.offer(read_model(descriptor), self._kept)
        except ModelRejected as error:
            letter, status = rejection(
                error,
                payload,
                self._settings.models_topic,
                self._subtask,
                data_type=data_type,
                name=descriptor.name,
                version=descriptor.version,
            )
            yield DEAD_LETTERS, letter
            yield status
        else:
            yield ACTIVATIONS, (data_type, encode_activation(activation))

    def close(self) -> None:
        # Flink calls this after an open that failed too, and an error here ends the whole TaskManager.
        if hasattr(self, "_admission"):
            self._admission.close()
