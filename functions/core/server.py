"""Serves records with the models that are active: the heart of both variants, without Flink.

Scoring is batch first: n records of one data type are scored at once, one record is a batch of one. A record
that cannot be scored costs that record only.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from functions.core.batches import RecordBatch, ScoredBatch
from functions.core.clock import Clock
from functions.core.dead_letters import dead_letter
from functions.core.engine import RecordSchema, Scores
from functions.core.errors import ModelServingError, ScoringFailed
from functions.core.messages import DeadLetter, ModelToServe
from functions.core.pool import Lease, ModelPool

__all__ = ["Outcome", "Server"]


@dataclass(frozen=True, slots=True)
class _Serving:
    """Who serves a data type; ``model`` is without its content, which state holds."""

    lease: Lease
    model: ModelToServe


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a batch: each record is in ``scored`` or in ``dead_letters``, in the batch's order."""

    scored: list[ScoredBatch] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)


class Server:
    """The active model of each data type, loaded. Call order: ``activate``, ``serve``, …, ``close``."""

    def __init__(self, pool: ModelPool, schema: RecordSchema, topic: str, clock: Clock) -> None:
        self._pool = pool
        self._schema = schema
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

    def serve(self, batch: RecordBatch) -> Outcome:
        """Scores records of a data type that is served.

        Raises:
            KeyError: nothing serves the data type.
        """
        outcome = Outcome()
        self._serve(self._serving[batch.data_type], batch, outcome)
        return outcome

    def close(self) -> None:
        """Lets go of every model."""
        for serving in self._serving.values():
            serving.lease.release()
        self._serving.clear()

    def _serve(self, serving: _Serving, batch: RecordBatch, outcome: Outcome) -> None:
        try:
            scores, elapsed_ns = self._score(serving, batch)
        except ScoringFailed as error:
            if len(batch) == 1:
                outcome.dead_letters.append(self._failed(batch.payloads[0], serving.model, error))
                return
            # Some record of the batch is at fault: scored alone, the others get their results.
            for place in range(len(batch)):
                self._serve(serving, batch.rows(np.array([place])), outcome)
            return
        submission_ts = batch.submission_ts
        without = np.isnan(scores.result)
        if without.any():
            nothing = ScoringFailed("the model gives no result for this record")
            for place in np.flatnonzero(without).tolist():
                outcome.dead_letters.append(self._failed(batch.payloads[place], serving.model, nothing))
            scored = np.flatnonzero(~without)
            if not len(scored):
                return
            scores, submission_ts = scores.rows(scored), submission_ts[scored]
        outcome.scored.append(
            ScoredBatch(
                data_type=batch.data_type,
                model=serving.model,
                submission_ts=submission_ts,
                scores=scores,
                scoring_ns=elapsed_ns // len(batch),
                served_ts=self._clock.epoch_ms(),
            )
        )

    def _score(self, serving: _Serving, batch: RecordBatch) -> tuple[Scores, int]:
        model = serving.lease.model
        columns = batch.features.columns(model.fields)
        start = self._clock.monotonic_ns()
        scores = model.score(columns)
        elapsed_ns = self._clock.monotonic_ns() - start
        if scores.result.shape != (len(batch),):
            raise ScoringFailed(f"{scores.result.shape} results for {len(batch)} records")
        return scores, elapsed_ns

    def _failed(self, payload: bytes, model: ModelToServe, error: ModelServingError) -> DeadLetter:
        return dead_letter(
            error,
            payload,
            self._topic,
            self._clock.epoch_ms(),
            data_type=model.data_type,
            model=model.name,
            version=model.version,
        )
