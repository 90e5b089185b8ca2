"""The operators that read records and model messages from Kafka and route them by data type."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyflink.common import Row
from pyflink.datastream import ProcessFunction, RuntimeContext

from functions.chunks import chunks_of
from functions.emitting import emit
from functions.metrics import ServingMetrics
from functions.placement import Placement, subtask_index
from functions.process import build_parts
from functions.statistics import InstanceStatistics
from model_serving.core.channels import Emitted
from model_serving.settings import ServingSettings

__all__ = ["RouteModels", "RouteRecords", "payloads_of"]


def payloads_of(vector: Any) -> list[bytes]:
    """The Kafka messages that a row holds, as bytes; a message without a value becomes empty bytes."""
    return [payload or b"" for payload in vector[0]]


class RouteRecords(ProcessFunction):  # type: ignore[misc]
    """Vectors of records from Kafka → Row(data type, packed batches of records), for keying."""

    def __init__(self, settings: ServingSettings) -> None:
        self._settings = settings

    def open(self, runtime_context: RuntimeContext) -> None:
        """Makes the codec of records and the maker of dead letters."""
        subtask = subtask_index(runtime_context)
        self._statistics = InstanceStatistics(self._settings, "route-records", subtask)
        parts = build_parts(self._settings, self._statistics.recorder)
        self._codec = parts.codec
        self._refusals = parts.refusals()
        self._metrics = ServingMetrics(runtime_context)
        self._placement = Placement(runtime_context)

    def process_element(self, value: Any, ctx: ProcessFunction.Context) -> Iterator[Any]:
        """Decodes a vector; records go on in batches, messages that are not records become dead letters."""
        decoded = self._codec.decode(payloads_of(value))
        if decoded.refused:
            emitted = Emitted()
            self._refusals.unread(decoded.refused, emitted)
            self._metrics.add(emitted.counts)
            yield from emit(emitted)
        for batches in self._placement.together(decoded.batches):
            yield Row(batches[0].data_type, self._codec.pack(batches))

    def close(self) -> None:
        """Makes the last reports of statistics."""
        # Flink also calls this after ``open`` has failed, and an error here ends the whole TaskManager.
        if hasattr(self, "_statistics"):
            self._statistics.close()


class RouteModels(ProcessFunction):  # type: ignore[misc]
    """Model messages from Kafka → Row(data type, (chunk, number of chunks that follow)), for keying.

    Rejects messages that it cannot route.
    """

    def __init__(self, settings: ServingSettings) -> None:
        self._settings = settings

    def open(self, runtime_context: RuntimeContext) -> None:
        """Makes the gate.

        Raises:
            ValueError: the key file cannot be read, or has no key in it.
        """
        subtask = subtask_index(runtime_context)
        self._metrics = ServingMetrics(runtime_context)
        self._statistics = InstanceStatistics(self._settings, "route-models", subtask)
        self._gate = build_parts(self._settings, self._statistics.recorder).gate(subtask)

    def process_element(self, value: bytes, ctx: ProcessFunction.Context) -> Iterator[Any]:
        """Routes a model message to its data type, or rejects it."""
        payload = bytes(value)
        routed = self._gate.route(payload)
        if isinstance(routed, Emitted):
            self._metrics.add(routed.counts)
            yield from emit(routed)
        else:
            for chunk in chunks_of(payload):
                yield Row(routed, chunk)

    def close(self) -> None:
        """Makes the last reports of statistics."""
        # See RouteRecords.
        if hasattr(self, "_statistics"):
            self._statistics.close()
