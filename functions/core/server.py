"""Serves records with the models that are active: the heart of both variants, without Flink.

Scoring is batch first: n records of one data type give n outcomes in the same order, one record is a batch
of one. A record that cannot be scored costs that record only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from functions.core.clock import Clock
from functions.core.dead_letters import dead_letter
from functions.core.engine import Columns, RecordSchema, Scores
from functions.core.errors import ModelServingError, ScoringFailed
from functions.core.messages import DataToServe, DeadLetter, ModelToServe, ServingResult
from functions.core.pool import Lease, ModelPool

__all__ = ["ColumnReader", "Outcome", "Server"]

ColumnReader = Callable[[Sequence[Any], tuple[str, ...]], Columns]
"""Takes the fields asked for, in that order, out of n parsed records: n × k."""

Outcome = ServingResult | DeadLetter


@dataclass(frozen=True, slots=True)
class _Serving:
    """Who serves a data type; ``model`` is without its content, which state holds."""

    lease: Lease
    model: ModelToServe


class Server:
    """The active model of each data type, loaded. Call order: ``activate``, ``serve``, …, ``close``."""

    def __init__(
        self, pool: ModelPool, schema: RecordSchema, read_columns: ColumnReader, topic: str, clock: Clock
    ) -> None:
        self._pool = pool
        self._schema = schema
        self._read_columns = read_columns
        self._topic = topic
        self._clock = clock
        self._serving: dict[str, _Serving] = {}

    def activate(self, model: ModelToServe) -> None:
        """Serves the model's data type with it from now on. The model before is let go of afterwards.

        Raises:
            ModelRejected: the model cannot be loaded here, though it was where it was admitted.
        """
        new = _Serving(self._pool.acquire(model, self._schema), replace(model, content=b""))
        old = self._serving.get(model.data_type)
        self._serving[model.data_type] = new
        if old is not None:
            old.lease.release()

    def deactivate(self, data_type: str) -> None:
        """Stops serving a data type, if it was served."""
        old = self._serving.pop(data_type, None)
        if old is not None:
            old.lease.release()

    def serves(self, data_type: str) -> bool:
        """Whether a model is loaded for the data type."""
        return data_type in self._serving

    def serve(self, data_type: str, records: Sequence[DataToServe]) -> list[Outcome]:
        """Scores n ≥ 1 records of a data type that is served; n outcomes in the same order.

        Raises:
            KeyError: nothing serves the data type.
        """
        serving = self._serving[data_type]
        try:
            scores, elapsed_ns = self._score(serving, records)
        except ScoringFailed as error:
            if len(records) == 1:
                return [self._failed(records[0], serving.model, error)]
            # Some record of the batch is at fault: scored alone, the others get their results.
            return [outcome for record in records for outcome in self.serve(data_type, [record])]
        return list(self._outcomes(serving.model, records, scores, elapsed_ns // len(records)))

    def close(self) -> None:
        """Lets go of every model."""
        for serving in self._serving.values():
            serving.lease.release()
        self._serving.clear()

    def _score(self, serving: _Serving, records: Sequence[DataToServe]) -> tuple[Scores, int]:
        model = serving.lease.model
        columns = self._read_columns([record.message for record in records], model.fields)
        start = self._clock.monotonic_ns()
        scores = model.score(columns)
        elapsed_ns = self._clock.monotonic_ns() - start
        if scores.result.shape != (len(records),):
            raise ScoringFailed(f"{scores.result.shape} results for {len(records)} records")
        return scores, elapsed_ns

    def _outcomes(
        self, model: ModelToServe, records: Sequence[DataToServe], scores: Scores, scoring_ns: int
    ) -> Iterator[Outcome]:
        served_ts = self._clock.epoch_ms()
        results = scores.result.tolist()
        labels = scores.labels if scores.labels is not None else [""] * len(results)
        names = tuple(scores.outputs)
        rows = zip(*(values.tolist() for values in scores.outputs.values()), strict=True) if names else None
        for record, result, label in zip(records, results, labels, strict=True):
            outputs = _present(names, next(rows)) if rows is not None else {}
            if result != result:  # NaN
                yield self._failed(record, model, ScoringFailed("the model gives no result for this record"))
                continue
            yield ServingResult(
                data_type=record.data_type,
                name=model.name,
                version=model.version,
                model_type=model.model_type,
                submission_ts=record.submission_ts,
                served_ts=served_ts,
                scoring_ns=scoring_ns,
                result=result,
                label=label,
                outputs=outputs,
            )

    def _failed(self, record: DataToServe, model: ModelToServe, error: ModelServingError) -> DeadLetter:
        return dead_letter(
            error,
            record.payload,
            self._topic,
            self._clock.epoch_ms(),
            data_type=record.data_type,
            model=model.name,
            version=model.version,
        )


def _present(names: Sequence[str], values: Sequence[float]) -> dict[str, float]:
    """The outputs that the model gave for a record; NaN stands for one that it did not give."""
    return {name: value for name, value in zip(names, values, strict=True) if value == value}
