"""Makes a loaded model from the inputs, the outputs and the ``run`` of a TensorFlow or ONNX model.

An engine describes the inputs (``tensors.pairing`` fits them to the record type) and all outputs that it can
fetch (``tensors.outputs`` says what they mean), and calls ``make_model``. This scores a few records of zeros
and empty texts, or of others where these fail. From them come the columns of the outputs that the model does
not state. A model that takes only one record at a time is found out too, and one whose answer for a record
depends on the others (``tensors.independence``). Whoever writes ``run`` tells two
failures apart:

* ``ScoringFailed``: other records may be scored, such as for a category that the model does not know. The
  model is admitted if it states the columns of its outputs.
* ``CannotScore``: no record could avoid it, such as for matrices whose sizes do not fit. The model is
  refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from model_serving.core.engine import Columns, ModelDescription, Scores
from model_serving.core.errors import ModelRejected, ScoringFailed
from model_serving.engines.foreign_errors import quietly, scoring_failure
from model_serving.engines.tensors.independence import TOGETHER, dependence
from model_serving.engines.tensors.one_record import Bindable, OneRecordScorer
from model_serving.engines.tensors.outputs import TensorOutput, plan_outputs
from model_serving.engines.tensors.reading import Tensor, as_matrix, reader_of

if TYPE_CHECKING:
    from model_serving.core.messages import ModelToServe
    from model_serving.engines.tensors.inputs import TensorInputs

__all__ = [
    "CannotScore",
    "OutputReader",
    "Run",
    "Tensor",
    "TensorModel",
    "Tried",
    "make_model",
    "tried_model",
    "tried_outputs",
    "tried_together",
]

Run = Callable[[Sequence[Tensor]], Sequence[Tensor]]
"""Computes the output tensors from the input tensors, in the order of the outputs. Raises ScoringFailed."""

OutputReader = Callable[[Sequence[Tensor], int], Scores]
"""Turns the output tensors for n records into scores."""

_OTHER_RECORDS = ((1.0, "1"), (0.5, "a"))
"""What the trial's records hold where the model fails for zeros and empty texts."""

_ONE_BY_ONE = "Records are scored one at a time, because the model only takes one."


class CannotScore(ScoringFailed):
    """The model failed in a way that no record could avoid."""


def _nothing_found(_run: Run) -> Columns | None:
    """Finds no row: what an engine's ``find_row`` is by default."""
    return None


def make_model(
    run: Callable[[Sequence[int]], Run],
    inputs: TensorInputs,
    outputs: Sequence[TensorOutput],
    model: ModelToServe,
    close: Callable[[], None],
    description: ModelDescription,
    find_row: Callable[[Run], Columns | None] = _nothing_found,
) -> TensorModel:
    """Returns the model, once it has been tried.

    Args:
        run: gives a ``Run`` that fetches the outputs at these places.
        inputs: the inputs, fitted to the record type.
        outputs: all outputs of the model that are numbers or text.
        model: the message.
        close: releases the model; called once, and not when this function raises.
        description: kind, evaluator and notes; the rest is filled in.
        find_row: finds a row of shape (1, fields) that the model scores, with a run of all outputs; called
            where other records than zeros and empty texts may be scored.

    Raises:
        ModelRejected: the model cannot score, or its outputs do not fit the message.
    """
    run_all = run(range(len(outputs)))
    tried = tried_together(run_all, inputs, tried_outputs(run_all, inputs, outputs, find_row))
    return tried_model(run, inputs, tried, model, close, description)


def tried_model(
    run: Callable[[Sequence[int]], Run],
    inputs: TensorInputs,
    tried: Tried,
    model: ModelToServe,
    close: Callable[[], None],
    description: ModelDescription,
) -> TensorModel:
    """Returns the model from what a trial of it found, without another trial; see ``make_model``.

    Raises:
        ModelRejected: the model's outputs do not fit the message.
    """
    plan = plan_outputs(tried.outputs, model.output, model.result_output)
    used = [
        place
        for place in range(len(tried.outputs))
        if place == plan.label or plan.names[place] or (plan.source and plan.source[0] == place)
    ]
    narrow = replace(
        plan,
        outputs=tuple(plan.outputs[place] for place in used),
        names=tuple(plan.names[place] for place in used),
        label=None if plan.label is None else used.index(plan.label),
        source=None if plan.source is None else (used.index(plan.source[0]), *plan.source[1:]),
    )
    fetched = run([tried.places[place] for place in used])
    described = replace(
        description,
        inputs=inputs.described,
        outputs=tuple(name for names in narrow.names for name in names),
        classes=plan.classes,
        result=plan.result,
        notes=(*description.notes, *tried.notes, *plan.notes),
    )
    inputs = replace(inputs, batch=tried.batch)
    return TensorModel(inputs, fetched, reader_of(narrow), close, described, tried.first_row)


@dataclass(frozen=True, slots=True)
class Tried:
    """The outputs that can be read and their places among all, the batch size, and warnings.

    ``first_row`` is the row that was found for the model, None where it was tried with other records.
    """

    outputs: tuple[TensorOutput, ...]
    places: tuple[int, ...]
    batch: int | None
    notes: tuple[str, ...]
    first_row: Columns | None = None


def tried_outputs(
    run: Run,
    inputs: TensorInputs,
    outputs: Sequence[TensorOutput],
    find_row: Callable[[Run], Columns | None] = _nothing_found,
) -> Tried:
    """Tries a model; ``run`` fetches all of ``outputs``. See ``make_model`` for ``find_row``.

    Raises:
        ModelRejected: the model cannot score.
    """
    if not outputs:
        raise ModelRejected("the model has no output of numbers or text: export it with one")
    records = inputs.trial()
    try:
        return _tried_with(records, run, inputs, outputs)
    except CannotScore as error:
        raise _refusal(error) from error
    except ScoringFailed as error:
        row = find_row(run)
        if row is not None:
            with suppress(ScoringFailed):
                tried = _tried_with(np.repeat(row, len(records), axis=0), run, inputs, outputs)
                return replace(tried, first_row=row)
        for number, text in _OTHER_RECORDS:
            with suppress(ScoringFailed):
                records = inputs.trial(number, text)
                return _read(run(inputs.feeds(records)), len(records), outputs, inputs.batch, ())
        if all(output.columns is not None for output in outputs):
            return Tried(tuple(outputs), tuple(range(len(outputs))), inputs.batch, ())
        raise _refusal(error) from error


def _refusal(error: ScoringFailed) -> ModelRejected:
    return ModelRejected(f"trying the model with zeros: {error}")


def _tried_with(records: Columns, run: Run, inputs: TensorInputs, outputs: Sequence[TensorOutput]) -> Tried:
    """Tries a model with these records, and with the first one alone. Raises what all of them raise."""
    try:
        return _read(run(inputs.feeds(records)), len(records), outputs, inputs.batch, ())
    except ScoringFailed:
        if inputs.batch is None:
            with suppress(ScoringFailed):
                return _read(run(inputs.feeds(records[:1])), 1, outputs, 1, (_ONE_BY_ONE,))
        raise


def tried_together(run: Run, inputs: TensorInputs, tried: Tried) -> Tried:
    """Returns what a trial found, with what ``independence`` finds: a batch size of one, and a warning."""
    note = dependence(run, inputs) if tried.batch is None else ""
    if not note:
        return tried
    return replace(tried, batch=1 if note == TOGETHER else None, notes=(*tried.notes, note))


def _read(
    tensors: Sequence[Tensor],
    n: int,
    outputs: Sequence[TensorOutput],
    batch: int | None,
    notes: tuple[str, ...],
) -> Tried:
    if n > 1 and not any(tensor.shape for tensor in tensors):
        raise ModelRejected(
            f"the model gives one value for {n} records: export it so that it gives one for each record"
        )
    kept, places, errors = [], [], []
    for place, (output, tensor) in enumerate(zip(outputs, tensors, strict=True)):
        try:
            columns = as_matrix(tensor, n, output.columns or (tensor.size if n == 1 else None)).shape[1]
        except ScoringFailed as error:
            errors.append(CannotScore(f"{output.name}: {error}"))
            notes = (*notes, f"The output {output.name} is left out, because it has no row for each record.")
            continue
        # Of a label that is true or false, the classes are known.
        classes = ("False", "True") if tensor.dtype.kind == "b" and not output.classes else output.classes
        kept.append(replace(output, columns=columns, classes=classes))
        places.append(place)
    if not kept:
        raise errors[0]
    return Tried(tuple(kept), tuple(places), batch, notes)


class TensorModel:
    """A model that is ready to score."""

    def __init__(
        self,
        inputs: TensorInputs,
        run: Run,
        read: OutputReader,
        close: Callable[[], None],
        description: ModelDescription | None = None,
        first_row: Columns | None = None,
    ) -> None:
        """``run`` raises ``ScoringFailed``; ``close`` is called once; ``first_row`` is one it scores."""
        self.first_row = first_row
        self._inputs = inputs
        self._run = run
        self._read = read
        self._close = close
        self._description = description or ModelDescription()
        bindable: object = run
        self._one: OneRecordScorer | None = None
        if isinstance(bindable, Bindable) and inputs.batch in {None, 1}:
            self._one = OneRecordScorer(inputs, bindable, read)

    @property
    def fields(self) -> tuple[str, ...]:
        """The record fields, in the order of the model's inputs."""
        return self._inputs.fields

    @property
    def inputs(self) -> TensorInputs:
        """How the tensors are made."""
        return self._inputs

    @property
    def findings(self) -> str:
        """Empty: the library reads the model again at each load."""
        return ""

    @property
    def description(self) -> ModelDescription:
        """What the model is, for people."""
        return self._description

    def score(self, columns: Columns) -> Scores:
        """See ``LoadedModel.score``."""
        n = len(columns)
        if n == 1 and self._one is not None and (scores := self._one.score(columns)) is not None:
            return scores
        inputs = self._inputs
        try:
            if inputs.batch is None or inputs.batch == n:
                return self._read(self._run(inputs.feeds(columns)), n)
            batch = inputs.batch
            return _joined([self._part(columns[at : at + batch], batch) for at in range(0, n, batch)])
        except Exception as error:
            failure = scoring_failure("the model's tensors cannot be read", error)
            if failure is error:
                raise
            raise failure from error

    def close(self) -> None:
        """Releases the model's memory."""
        with quietly("the model cannot be closed"):
            self._close()

    def _part(self, columns: Columns, batch: int) -> Scores:
        """Scores at most ``batch`` records. Those that are missing are copies of the last one."""
        n = len(columns)
        if batch == 1 and self._one is not None and (scores := self._one.score(columns)) is not None:
            return scores
        full = (
            columns if n == batch else np.concatenate([columns, np.repeat(columns[-1:], batch - n, axis=0)])
        )
        scores = self._read(self._run(self._inputs.feeds(full)), batch)
        return scores if n == batch else scores.rows(np.arange(n))


def _joined(parts: Sequence[Scores]) -> Scores:
    if len(parts) == 1:
        return parts[0]
    labels = None if parts[0].labels is None else [label for part in parts for label in part.labels or ()]
    outputs = {name: np.concatenate([part.outputs[name] for part in parts]) for name in parts[0].outputs}
    return Scores(np.concatenate([part.result for part in parts]), labels, outputs)
