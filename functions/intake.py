"""Records and model messages on their way in: parsed, refused or routed by data type."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyflink.datastream import ProcessFunction, RuntimeContext

from functions.core.dead_letters import dead_letter
from functions.core.errors import InvalidRecord, ModelRejected, UnparsableMessage
from functions.core.messages import DataToServe, DeadLetter
from functions.flink_types import DEAD_LETTERS, STATUSES, subtask_index
from functions.outcomes import rejection
from functions.parts import CLOCK
from functions.settings import ServingSettings
from functions.wire import RecordCodec, encode_dead_letter, model_data_type, parse_descriptor

__all__ = ["RecordIntake", "RouteModels", "RouteRecords"]


class RecordIntake:
    """Sorts the records of a vector by data type, in their order; what is no record becomes a dead letter."""

    def __init__(self, codec: RecordCodec, topic: str) -> None:
        self._codec = codec
        self._topic = topic

    def sort(
        self, payloads: tuple[bytes | None, ...]
    ) -> tuple[dict[str, list[DataToServe]], list[DeadLetter]]:
        """The valid records by data type, and the dead letters; a Kafka message without a value is empty."""
        records: dict[str, list[DataToServe]] = {}
        letters: list[DeadLetter] = []
        for payload in payloads:
            value = payload or b""
            try:
                record = self._codec.parse(value)
            except (UnparsableMessage, InvalidRecord) as error:
                letters.append(dead_letter(error, value, self._topic, CLOCK.epoch_ms()))
            else:
                records.setdefault(record.data_type, []).append(record)
        return records, letters


class RouteRecords(ProcessFunction):  # type: ignore[misc]
    """Vectors of records from Kafka → (data type, records' bytes), to be keyed."""

    def __init__(self, settings: ServingSettings) -> None:
        self._settings = settings

    def open(self, runtime_context: RuntimeContext) -> None:
        self._intake = RecordIntake(RecordCodec(self._settings.record_type), self._settings.data_topic)

    def process_element(self, value: Any, ctx: ProcessFunction.Context) -> Iterator[Any]:
        records, letters = self._intake.sort(value[0])
        for letter in letters:
            yield DEAD_LETTERS, encode_dead_letter(letter)
        for data_type, batch in records.items():
            yield data_type, [record.payload for record in batch]


class RouteModels(ProcessFunction):  # type: ignore[misc]
    """Model messages from Kafka → (data type, message), to be keyed; the unroutable are rejected here."""

    def __init__(self, settings: ServingSettings) -> None:
        self._settings = settings

    def open(self, runtime_context: RuntimeContext) -> None:
        self._subtask = subtask_index(runtime_context)

    def process_element(self, value: bytes, ctx: ProcessFunction.Context) -> Iterator[Any]:
        payload = bytes(value)
        try:
            data_type = model_data_type(parse_descriptor(payload))
        except (UnparsableMessage, ModelRejected) as error:
            letter, status = rejection(error, payload, self._settings.models_topic, self._subtask)
            yield DEAD_LETTERS, letter
            yield STATUSES, status
        else:
            yield data_type, payload
