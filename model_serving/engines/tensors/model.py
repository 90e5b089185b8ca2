"""A loaded TensorFlow or ONNX model: turns fields into tensors, and tensors into scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from model_serving.core.engine import Columns, Scores
from model_serving.core.errors import ModelRejected, ScoringFailed
from model_serving.engines.foreign_errors import quietly, scoring_failure
from model_serving.engines.results import resolve_rule, result_of

if TYPE_CHECKING:
    from model_serving.core.messages import OutputRule
    from model_serving.engines.tensors.inputs import TensorInputs

__all__ = [
    "OutputReader",
    "Run",
    "Tensor",
    "TensorModel",
    "TensorOutput",
    "TensorReader",
    "choose_result",
    "try_out",
]

Tensor = npt.NDArray[Any]
Run = Callable[[Sequence[Tensor]], Sequence[Tensor]]
"""Computes the output tensors from the input tensors."""

OutputReader = Callable[[Sequence[Tensor], int], Scores]
"""Turns the output tensors for n records into scores."""

_RESULT_NAMES = ("probabilities", "predictions", "outputs", "output")


@dataclass(frozen=True, slots=True)
class TensorOutput:
    """A numeric output of a model: its short name, and its number of columns if the model gives it."""

    name: str
    columns: int | None
    is_float: bool = True


def choose_result(outputs: Sequence[TensorOutput]) -> int:
    """Returns the index of the output that gives the result.

    It is the only output, else the only output of floats, else the only output of floats that has one of the
    names in ``_RESULT_NAMES``.

    Raises:
        ModelRejected: there is no output, or it is not clear which one gives the result.
    """
    if not outputs:
        raise ModelRejected("the model has no numeric output")
    floats = [index for index, output in enumerate(outputs) if output.is_float]
    telling = [index for index in floats if outputs[index].name in _RESULT_NAMES]
    for candidates in (range(len(outputs)), floats, telling):
        if len(candidates) == 1:
            return candidates[0]
    raise ModelRejected(
        f"the model has the outputs {', '.join(output.name for output in outputs)} and none stands out: "
        f"export it with one, or call the one with the result {_RESULT_NAMES[0]} or {_RESULT_NAMES[1]}"
    )


class TensorReader:
    """Reads numeric outputs: the result from one of them, and all columns of all of them by name.

    A single output of one column is the result, and is not among the named outputs.
    """

    def __init__(
        self, names: Sequence[Sequence[str]], columns: Sequence[int], chosen: int, rule: OutputRule
    ) -> None:
        """Creates the reader.

        Args:
            names: for each output the names of its columns, empty when its columns get no names.
            columns: the number of columns of each output.
            chosen: the index of the output that gives the result.
            rule: how the result follows from that output.

        Raises:
            ModelRejected: the rule does not fit the chosen output.
        """
        self._chosen = chosen
        self._rule = resolve_rule(rule, columns[chosen])
        self._columns = tuple(columns)
        self._names = () if self._columns == (1,) else tuple(names)

    def __call__(self, tensors: Sequence[Tensor], n: int) -> Scores:
        """See ``OutputReader``.

        Raises:
            ScoringFailed: a tensor does not have n rows, or has other columns than when the model was loaded.
        """
        matrices = [as_matrix(tensor, n) for tensor in tensors]
        if tuple(matrix.shape[1] for matrix in matrices) != self._columns:
            raise ScoringFailed("the model gives a different number of columns than when it was loaded")
        outputs: dict[str, npt.NDArray[np.float64]] = {}
        for names, matrix in zip(self._names, matrices, strict=False):
            outputs.update(zip(names, matrix.T, strict=False))
        return Scores(result_of(matrices[self._chosen], self._rule), None, outputs)


def as_matrix(tensor: Tensor, n: int) -> npt.NDArray[np.float64]:
    """Returns a tensor of shape (n, columns) from (n,), (n, columns) or one with more dimensions of size 1.

    Raises:
        ScoringFailed: the tensor has any other shape.
    """
    rows, *rest = tensor.shape or (0,)
    if rows != n or sum(size != 1 for size in rest) > 1:
        raise ScoringFailed(
            f"the model gives a tensor of shape {tensor.shape} for {n} records, not (n, columns)"
        )
    return tensor.reshape(n, -1).astype(np.float64)


def try_out(run: Run, inputs: TensorInputs, outputs: Sequence[TensorOutput]) -> tuple[int, ...]:
    """Returns the number of columns of each output, found by scoring records of zeros.

    A model may fail on zeros and still score real records, and a model that takes text cannot score zeros. So
    the numbers of columns that such a model gives for itself are used, if it gives them all.

    Raises:
        ModelRejected: the model fails and does not give its columns, or does not give a row for each record.
    """
    zeros = inputs.zeros()
    try:
        if inputs.has_text:
            raise ScoringFailed("a model that takes text must give the shapes of its outputs")
        tensors = run(inputs.feeds(zeros))
    except ScoringFailed as error:
        said = tuple(output.columns for output in outputs if output.columns is not None)
        if len(said) == len(outputs):
            return said
        raise ModelRejected(f"trying the model with zeros: {error}") from error
    try:
        return tuple(as_matrix(tensor, len(zeros)).shape[1] for tensor in tensors)
    except ScoringFailed as error:
        raise ModelRejected(str(error)) from error


class TensorModel:
    """A model that is ready to score."""

    def __init__(self, inputs: TensorInputs, run: Run, read: OutputReader, close: Callable[[], None]) -> None:
        """``run`` raises ``ScoringFailed``; ``close`` is called once."""
        self._inputs = inputs
        self._run = run
        self._read = read
        self._close = close

    @property
    def fields(self) -> tuple[str, ...]:
        """The record fields, in the order of the model's inputs."""
        return self._inputs.fields

    @property
    def findings(self) -> str:
        """Empty: the library reads the model again at each load."""
        return ""

    def score(self, columns: Columns) -> Scores:
        """See ``LoadedModel.score``."""
        try:
            return self._score(columns)
        except Exception as error:
            failure = scoring_failure("the model's tensors cannot be read", error)
            if failure is error:
                raise
            raise failure from error

    def close(self) -> None:
        """Releases the model's memory."""
        with quietly("the model cannot be closed"):
            self._close()

    def _score(self, columns: Columns) -> Scores:
        feeds = self._inputs.feeds(columns)
        n = len(columns)
        if not self._inputs.one_by_one or n == 1:
            return self._read(self._run(feeds), n)
        each = [self._run([feed[index : index + 1] for feed in feeds]) for index in range(n)]
        return self._read([np.concatenate(tensors) for tensors in zip(*each, strict=True)], n)
