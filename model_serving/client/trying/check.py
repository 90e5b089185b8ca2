"""Tries each model before it is published, and gives its message examples for the job to check."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path

from model_serving.client.errors import ClientError
from model_serving.client.record_files import load_record_type, read_record_file
from model_serving.client.trying.records import MessageRecords
from model_serving.client.trying.trial import TriedRow, admitted
from model_serving.core.errors import FailsAtFirst, ModelRejected, Unavailable
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.settings import ServingSettings
from model_serving.wire import RecordCodec

__all__ = ["ModelCheck", "Refused"]

_TOLERANCE = 1e-5
"""How far a result may be from its example, for a result above 1 relative to it. Models with numbers of 32
bits differ by less than that from one processor to the next."""


class Refused(ClientError):
    """A model that is not published, because a job would reject it or cannot score a record with it."""


class ModelCheck:
    """Tries models with the records of a file, each as a job does. Each message is tried once."""

    def __init__(
        self, csv_file: Path, settings: ServingSettings, *, data_type: str, examples: int = 0
    ) -> None:
        """Reads the file. ``examples`` is how many of its records go into each message.

        Raises:
            ClientError: a line of the file is not a record of the settings' record type.
        """
        record_type = load_record_type(settings.record_type)
        file = read_record_file(csv_file, record_type, data_type)
        self._csv_file = csv_file
        self._settings = settings
        self._examples = examples
        self._records = MessageRecords(file, RecordCodec(settings.record_type))
        self._tried: dict[bytes, ModelDescriptor] = {}

    def __call__(self, message: ModelDescriptor) -> ModelDescriptor:
        """Returns the message to publish.

        Raises:
            Refused: a job would reject the message, or a record is not scored.
        """
        payload = message.SerializeToString(deterministic=True)
        if payload not in self._tried:
            # Only the latest message is remembered for a model, because models are large.
            self._tried = {key: one for key, one in self._tried.items() if one.name != message.name}
            self._tried[payload] = self._try(message, payload)
        return self._tried[payload]

    def _try(self, message: ModelDescriptor, payload: bytes) -> ModelDescriptor:
        try:
            rows = self._scored(message, payload)
        except (ModelRejected, Unavailable) as error:
            raise Refused(f"a job would reject {message.name}: {error}") from error
        failed = [(number, row.error) for number, row in enumerate(rows, start=1) if row.error is not None]
        if failed:
            number, why = failed[0]
            raise Refused(
                f"{message.name} does not score {len(failed):,} of the {len(rows):,} records in "
                f"{self._csv_file}; record {number}: {why}"
            )
        if not self._examples:
            return message
        checked = ModelDescriptor()
        checked.CopyFrom(message)
        del checked.examples[:]
        checked.examples.extend(self._example(place, row) for place, row in self._chosen(rows))
        return checked

    def _scored(self, message: ModelDescriptor, payload: bytes) -> list[TriedRow]:
        try:
            with admitted(payload, None, self._settings) as trial:
                return list(trial.score(self._records))
        except FailsAtFirst:
            if not self._examples:
                raise
            # It is let in with an example that it scores.
            probe = ModelDescriptor()
            probe.CopyFrom(message)
            probe.examples.add(record=self._records.payload(0), tolerance=math.inf)
            with (
                suppress(ModelRejected),
                admitted(probe.SerializeToString(deterministic=True), None, self._settings) as trial,
            ):
                return list(trial.score(self._records))
            raise

    def _chosen(self, rows: list[TriedRow]) -> list[tuple[int, TriedRow]]:
        # No result is within a tolerance of infinity.
        finite = [
            (place, row)
            for place, row in enumerate(rows)
            if row.result is not None and math.isfinite(row.result)
        ]
        return finite[: self._examples]

    def _example(self, place: int, row: TriedRow) -> ModelDescriptor.Example:
        result = row.result or 0.0
        return ModelDescriptor.Example(
            record=self._records.payload(place),
            expected=result,
            tolerance=_TOLERANCE * max(1.0, abs(result)),
        )
