"""Records and model messages on their way in: parsed, refused or routed by data type."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyflink.common import Row
from pyflink.datastream import ProcessFunction, RuntimeContext

from functions.outcomes import refusals, rejection
from functions.placement import Placement, subtask_index
from functions.types import DEAD_LETTERS, STATUSES
from model_serving.core.admission.signing import check_signature
from model_serving.core.errors import ModelRejected, UnparsableMessage
from model_serving.settings import ServingSettings
from model_serving.wire import RecordCodec, model_data_type, parse_descriptor, require_digest

__all__ = ["RouteModels", "RouteRecords", "payloads_of"]


def payloads_of(vector: Any) -> list[bytes]:
    """The messages of a row that Kafka's records were gathered in; one without a value is empty."""
    return [payload or b"" for payload in vector[0]]


class RouteRecords(ProcessFunction):  # type: ignore[misc]
    """Vectors of records from Kafka → Row(data type, packed batches of records), to be keyed."""

    def __init__(self, settings: ServingSettings) -> None:
        self._settings = settings

    def open(self, runtime_context: RuntimeContext) -> None:
        self._codec = RecordCodec(self._settings.record_type)
        self._placement = Placement(runtime_context)

    def process_element(self, value: Any, ctx: ProcessFunction.Context) -> Iterator[Any]:
        decoded = self._codec.decode(payloads_of(value))
        yield from refusals(decoded, self._settings)
        for batches in self._placement.together(decoded.batches):
            yield Row(batches[0].data_type, self._codec.pack(batches))


class RouteModels(ProcessFunction):  # type: ignore[misc]
    """Model messages from Kafka → (data type, message), to be keyed; the unroutable are rejected here."""

    def __init__(self, settings: ServingSettings) -> None:
        self._settings = settings

    def open(self, runtime_context: RuntimeContext) -> None:
        self._subtask = subtask_index(runtime_context)
        self._keys = self._settings.model_keys()

    def process_element(self, value: bytes, ctx: ProcessFunction.Context) -> Iterator[Any]:
        payload = bytes(value)
        try:
            descriptor = parse_descriptor(payload)
            if self._keys:
                check_signature(payload, self._keys)
                require_digest(descriptor)
            data_type = model_data_type(descriptor)
        except (UnparsableMessage, ModelRejected) as error:
            letter, status = rejection(error, payload, self._settings, self._subtask)
            yield DEAD_LETTERS, letter
            yield STATUSES, status
        else:
            yield data_type, payload
