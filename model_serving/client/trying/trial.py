"""Loads one model as a job does and scores records with it, without Kafka."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

import numpy as np

from model_serving.assembly import build, new_pool
from model_serving.client.trying.quiet import only_python_prints
from model_serving.client.trying.records import Part, Records, batch_of
from model_serving.core.admission.alone import prepared_alone
from model_serving.core.admission.preparation import Prepared
from model_serving.core.clock import SystemClock
from model_serving.core.engine import Columns, ModelDescription, RecordSchema, description_of, first_row_of
from model_serving.core.errors import ModelServingError
from model_serving.core.scoring.server import Server
from model_serving.settings import ServingSettings
from model_serving.wire import ModelMessages

__all__ = ["Pace", "Trial", "TriedRow", "admitted"]

_BATCH = 512
"""How many records are scored at once, as many as in a job's largest batches."""

_TIMED_S = 0.1
"""For how long scoring is repeated to measure it, in seconds."""


@dataclass(frozen=True, slots=True)
class TriedRow:
    """What a job makes of a record: its result, or the error of its dead letter."""

    result: float | None = None
    label: str | None = None
    outputs: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """The time that scoring takes, in microseconds a record: in batches of 512, and one by one."""

    in_batches_us: float
    alone_us: float


class Trial:
    """A model that is loaded. ``load_ms`` is how long that took, with the trial and the library's start."""

    def __init__(
        self, prepared: Prepared, schema: RecordSchema, server: Server, settings: ServingSettings
    ) -> None:
        if prepared.model is None or prepared.lease is None:
            raise TypeError("a deployment was prepared without a model")
        self.model = prepared.model
        self.load_ms = prepared.load_ms
        self._loaded = prepared.lease.model
        self._schema = schema
        self._server = server
        self._settings = settings

    @property
    def description(self) -> ModelDescription:
        """What the engine says of the model."""
        return description_of(self._loaded)

    @property
    def fields(self) -> tuple[str, ...]:
        """The record fields that the model takes, in its order."""
        return self._loaded.fields

    def load_again_ms(self) -> float:
        """Loads the model a second time, as a running job does without the trial; returns how long it took.

        Raises:
            ModelRejected: the model does not load a second time.
        """
        server = build(self._settings, SystemClock(), new_pool()).server(self._schema)
        start_ns = time.perf_counter_ns()
        try:
            server.activate(self.model)
            return (time.perf_counter_ns() - start_ns) / 1e6
        finally:
            server.close()

    def score(self, records: Records) -> Iterator[TriedRow]:
        """Yields what becomes of each record, in their order."""
        for start in range(0, len(records), _BATCH):
            rows: dict[int, TriedRow] = {}
            for part in records.part(start, start + _BATCH):
                rows.update(self._score(part))
            yield from (rows[place] for place in sorted(rows))

    def pace(self, records: Records | None) -> Pace | None:
        """Measures scoring with the first records, or with a row of zeros; None if the model fails on it."""
        columns = first_row_of(self._loaded, self._schema) if records is None else self._columns(records)
        if columns is None:
            return None
        try:
            self._loaded.score(columns)
            many = np.resize(columns, (_BATCH, columns.shape[1]))
            in_batches_us = _measured(lambda: self._loaded.score(many)) / _BATCH
            return Pace(in_batches_us, _measured(lambda: self._loaded.score(columns[:1])))
        except ModelServingError:
            return None

    def _score(self, part: Part) -> dict[int, TriedRow]:
        rows = {place: TriedRow(error=why) for place, why in part.refused.items()}
        batch = batch_of(part, self.model.data_type)
        if batch is None:
            return rows
        outcome = self._server.serve(batch)
        for letter in outcome.dead_letters:
            rows[int(letter.payload)] = TriedRow(error=letter.detail)
        for scored in outcome.scored:
            scores = scored.scores
            for at, place in enumerate(scored.submission_ts.tolist()):
                outputs = {name: float(values[at]) for name, values in scores.outputs.items()}
                rows[place] = TriedRow(
                    float(scores.result[at]),
                    None if scores.labels is None else scores.labels[at],
                    # As in a result message, an output without a value is left out.
                    {name: value for name, value in outputs.items() if value == value},
                )
        return rows

    def _columns(self, records: Records) -> Columns | None:
        """The first records that are scored, at most 512."""
        parts = [part for part in records.part(0, _BATCH) if part.features is not None]
        good = []
        for part in parts:
            scored = [place for place, row in self._score(part).items() if row.error is None]
            kept = np.isin(part.places, scored)
            if kept.any() and part.features is not None:
                good.append(part.features.columns(self.fields)[kept])
        return np.concatenate(good) if good else None


@contextmanager
def admitted(payload: bytes, schema: RecordSchema | None, settings: ServingSettings) -> Iterator[Trial]:
    """Admits the model of a model message as a job does, and gives it until the block ends.

    ``schema`` has the fields of the records, if they are not those of the settings' record type.

    Raises:
        ModelRejected: a job would reject the message.
        Unavailable: something that the model needs is out of reach.
    """
    with only_python_prints():
        yield from _admitted(payload, schema, settings)


def _admitted(payload: bytes, schema: RecordSchema | None, settings: ServingSettings) -> Iterator[Trial]:
    parts = build(settings, SystemClock(), new_pool())
    admission, server, loads = parts.admission(schema), parts.server(schema), parts.loads()
    try:
        message = ModelMessages().open(payload).read()
        prepared = prepared_alone(admission, loads, message)
        try:
            trial = Trial(prepared, schema or parts.codec.schema, server, settings)
            server.activate(trial.model)
            yield trial
        finally:
            prepared.release()
    finally:
        server.close()
        admission.close()
        loads.close(0.0)


def _measured(call: Callable[[], object]) -> float:
    """The median time of a call, in microseconds."""
    times: list[int] = []
    end = time.perf_counter_ns() + int(_TIMED_S * 1e9)
    while len(times) < 3 or time.perf_counter_ns() < end:
        start = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - start)
    return median(times) / 1000
