"""Scores records with the active models, for both variants and without Flink.

Records are scored in batches: n records of one data type at once; a single record is a batch of one. A record
that cannot be scored does not affect the others of its batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from model_serving.core.batches import RecordBatch, ScoredBatch
from model_serving.core.clock import Clock
from model_serving.core.engine import Columns, ModelDescription, RecordSchema, Scores, description_of
from model_serving.core.errors import ModelServingError, ScoringFailed, Unavailable
from model_serving.core.letters import dead_letter
from model_serving.core.messages import DeadLetter, FailingModel, ModelToServe
from model_serving.core.model_servers.location import SCORED_BY_A_SERVER
from model_serving.core.model_servers.outage import OutagePolicy
from model_serving.core.pool import ContentReader, Lease, ModelPool
from model_serving.core.scoring.finite import all_finite
from model_serving.core.scoring.input_policy import MissingPolicy, is_complete, lacks_value, missing_value
from model_serving.core.statistics.ledger import Entry
from model_serving.core.statistics.recorder import Recorder

__all__ = ["Outcome", "Server"]

_MOST_HALVINGS = 32
"""How often parts of a batch are halved: enough for three records at fault among a thousand."""


@dataclass(slots=True)
class _Serving:
    """The model that serves a data type; ``model`` lacks the fields that only loading needs.

    ``failures`` counts the records in a row that the model failed on; None: failures are not counted.
    ``entry`` is what its statistics are counted in, if they are counted.
    """

    lease: Lease
    model: ModelToServe
    failures: int | None
    entry: Entry | None


@dataclass(slots=True)
class Outcome:
    """The outcome of a batch: where each record is, in the batch's order.

    A record is in ``scored``, in ``dead_letters`` or in ``held``. ``failing`` are models that have failed too
    often in a row; each model is reported once. ``held`` are records that have to wait, because what scores
    them is out of reach for the reason ``outage``; none of them comes before a scored one.
    """

    scored: list[ScoredBatch] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    failing: list[FailingModel] = field(default_factory=list)
    held: list[RecordBatch] = field(default_factory=list)
    outage: Unavailable | None = None


class Server:
    """The loaded active model of each data type. Call order: ``activate``, ``serve``, …, ``close``."""

    def __init__(
        self,
        pool: ModelPool,
        schema: RecordSchema,
        topic: str,
        clock: Clock,
        *,
        missing: MissingPolicy = MissingPolicy.PASS,
        failure_threshold: int = 0,
        outage: OutagePolicy = OutagePolicy.WAIT,
        with_content: ContentReader | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        """``failure_threshold``: how many failures in a row make a model a failing one; 0: no number does.

        ``outage`` says whether records are held while a model server is out of reach.

        ``with_content`` fetches the content of models that are in a store.

        ``recorder`` counts what is scored; None: nobody does.
        """
        self._pool = pool
        self._with_content = with_content
        self._schema = schema
        self._topic = topic
        self._clock = clock
        self._missing = missing
        self._failure_threshold = failure_threshold
        self._outage = outage
        self._recorder = recorder
        self._serving: dict[str, _Serving] = {}

    def activate(self, model: ModelToServe, *, fallback: bool = False) -> None:
        """Serves the model's data type with this model from now on, and then releases the model before it.

        A ``fallback`` never counts as failing: if the records were at fault, one version after the other
        would be given up.

        Raises:
            ModelRejected: the model cannot be loaded here, although it was loaded where it was admitted.
            ContentUnavailable: the content of the model is not available from the model store.
            Unavailable: something else that the model needs is out of reach.
        """
        lease = self._pool.acquire(model, self._schema, self._with_content)
        failures = 0 if self._failure_threshold and not fallback else None
        old = self._serving.get(model.data_type)
        # This value is part of keys that are hashed for each batch, so it has only the fields of results.
        shown = replace(
            model, content=b"", findings="", description="", signature_name="", result_output="", reference=""
        )
        entry = None if self._recorder is None else self._recorder.begin(model, lease.model.fields)
        self._serving[model.data_type] = _Serving(lease, shown, failures, entry)
        if old is not None:
            old.lease.release()

    def deactivate(self, data_type: str) -> None:
        """Stops serving a data type, if it was served."""
        old = self._serving.pop(data_type, None)
        if old is not None:
            old.lease.release()
            if self._recorder is not None:
                self._recorder.end(data_type)

    def serves(self, data_type: str) -> bool:
        """Whether a model is loaded for the data type."""
        return data_type in self._serving

    def description(self, data_type: str) -> ModelDescription:
        """What the model is that serves the data type.

        Raises:
            KeyError: no model serves the data type.
        """
        return description_of(self._serving[data_type].lease.model)

    def outage_of(self, data_type: str) -> Unavailable | None:
        """Why the model that serves a data type cannot be asked to score now; None if it can, or may.

        Takes no time: a model server that was out of reach is looked at beside the caller, now and then.

        Raises:
            KeyError: no model serves the data type.
        """
        try:
            self._serving[data_type].lease.model.reach()
        except Unavailable as error:
            return error
        return None

    def is_remote(self, data_type: str) -> bool:
        """Whether a model server scores the data type.

        Raises:
            KeyError: no model serves the data type.
        """
        return self._serving[data_type].model.model_type in SCORED_BY_A_SERVER

    def served_like(self, data_type: str) -> str:
        """A served data type that differs only in case or outer white space; empty if there is none."""
        spelled = data_type.strip().casefold()
        return next((served for served in self._serving if served.strip().casefold() == spelled), "")

    def serve(self, batch: RecordBatch) -> Outcome:
        """Scores records of a data type that is served.

        Raises:
            KeyError: no model serves the data type.
        """
        outcome = Outcome()
        serving = self._serving[batch.data_type]
        columns = batch.features.columns(serving.lease.model.fields)
        if self._missing is MissingPolicy.REJECT and not is_complete(columns):
            lacking, fields = lacks_value(columns), serving.lease.model.fields
            for place in np.flatnonzero(lacking).tolist():
                error = missing_value(fields, columns[place])
                outcome.dead_letters.append(self._letter(batch.payloads[place], serving.model, error))
            whole = np.flatnonzero(~lacking)
            missing = len(batch) - len(whole)
            batch, columns = batch.rows(whole), columns[whole]
        else:
            missing = 0
        if len(batch):
            self._serve(serving, batch, columns, outcome)
        if outcome.dead_letters and serving.entry is not None and self._recorder is not None:
            self._recorder.failed(serving.entry, len(outcome.dead_letters), missing)
        return outcome

    def close(self) -> None:
        """Releases every model."""
        for serving in self._serving.values():
            serving.lease.release()
        self._serving.clear()

    def _serve(self, serving: _Serving, batch: RecordBatch, columns: Columns, outcome: Outcome) -> None:
        """Scores records; where some are at fault, finds them by halves, so that the others get results.

        One record at fault among n costs 2·log2(n) scorings. Many would cost more than each record alone, so
        after some halvings a part that fails is scored record by record.
        """
        halvings = _MOST_HALVINGS
        # Ranges of places, the next one last.
        parts = [(0, len(batch))]
        while parts:
            start, end = parts.pop()
            whole = end - start == len(batch)
            part = batch if whole else batch.rows(np.arange(start, end))
            try:
                self._serve_part(serving, part, columns[start:end], outcome)
            except ScoringFailed as error:
                if end - start == 1:
                    outcome.dead_letters.append(self._letter(part.payloads[0], serving.model, error))
                    self._count(serving, columns[start:end], [True], error, outcome)
                    continue
                step = (end - start + 1) // 2 if halvings else 1
                halvings = max(0, halvings - 1)
                parts += [(at, min(at + step, end)) for at in reversed(range(start, end, step))]

    def _serve_part(self, serving: _Serving, batch: RecordBatch, columns: Columns, outcome: Outcome) -> None:
        if outcome.held:
            # Part of the batch has to wait, so what comes behind it waits too.
            outcome.held.append(batch)
            return
        try:
            scores, elapsed_ns = self._score(serving, columns)
        except Unavailable as error:
            self._out_of_reach(serving, batch, error, outcome)
            return
        submission_ts, origins = batch.submission_ts, batch.origins
        if not all_finite(scores.result) and (without := np.isnan(scores.result)).any():
            for place in np.flatnonzero(without).tolist():
                nothing = _no_result(scores, place)
                outcome.dead_letters.append(self._letter(batch.payloads[place], serving.model, nothing))
            self._count(serving, columns, without.tolist(), nothing, outcome)
            scored = np.flatnonzero(~without)
            if not len(scored):
                return
            scores, submission_ts, columns = scores.rows(scored), submission_ts[scored], columns[scored]
            origins = None if origins is None else origins[scored]
        elif serving.failures:
            serving.failures = 0
        together = ScoredBatch(
            data_type=batch.data_type,
            model=serving.model,
            submission_ts=submission_ts,
            scores=scores,
            scoring_ns=elapsed_ns // len(batch),
            served_ts=self._clock.epoch_ms(),
            origins=origins,
        )
        outcome.scored.append(together)
        self._note(serving, together, columns)

    def _note(self, serving: _Serving, scored: ScoredBatch, columns: Columns) -> None:
        if serving.entry is not None and self._recorder is not None:
            self._recorder.scored(serving.entry, scored, columns)

    def _out_of_reach(
        self, serving: _Serving, batch: RecordBatch, error: Unavailable, outcome: Outcome
    ) -> None:
        """Holds the records, or refuses them. It is not the model's fault, so no failure is counted."""
        if error.retry_ms is not None and self._outage is OutagePolicy.WAIT:
            outcome.held.append(batch)
            outcome.outage = error
            return
        failed = ScoringFailed(str(error))
        outcome.dead_letters.extend(
            self._letter(payload, serving.model, failed) for payload in batch.payloads
        )

    def _score(self, serving: _Serving, columns: Columns) -> tuple[Scores, int]:
        start = self._clock.monotonic_ns()
        scores = serving.lease.model.score(columns)
        elapsed_ns = self._clock.monotonic_ns() - start
        _check_shapes(scores, len(columns))
        return scores, elapsed_ns

    def _count(
        self,
        serving: _Serving,
        columns: Columns,
        failed: Sequence[bool],
        why: ScoringFailed,
        outcome: Outcome,
    ) -> None:
        """Counts failures in a row. A record that lacks a value says nothing about its model."""
        for has_failed, lacking in zip(failed, lacks_value(columns).tolist(), strict=True):
            if serving.failures is None:
                return
            if not has_failed:
                serving.failures = 0
            elif not lacking:
                serving.failures += 1
            if serving.failures == self._failure_threshold:
                model = serving.model
                failing = FailingModel(model.data_type, model.name, model.version, serving.failures, str(why))
                outcome.failing.append(failing)
                serving.failures = None

    def _letter(self, payload: bytes, model: ModelToServe, error: ModelServingError) -> DeadLetter:
        return dead_letter(
            error,
            payload,
            self._topic,
            self._clock.epoch_ms(),
            data_type=model.data_type,
            model=model.name,
            version=model.version,
        )


def _no_result(scores: Scores, place: int) -> ScoringFailed:
    why = "" if scores.why is None else scores.why(place)
    return ScoringFailed("the model gives no result for this record" + (f": {why}" if why else ""))


def _check_shapes(scores: Scores, n: int) -> None:
    """Raises ScoringFailed unless results, labels and outputs each have n values."""
    if scores.result.shape != (n,):
        raise ScoringFailed(f"{scores.result.shape} results for {n} records")
    if scores.labels is not None and len(scores.labels) != n:
        raise ScoringFailed(f"{len(scores.labels)} labels for {n} records")
    for name, values in scores.outputs.items():
        if values.shape != (n,):
            raise ScoringFailed(f"{values.shape} values of the output '{name}' for {n} records")
