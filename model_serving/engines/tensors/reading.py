"""Reads the output tensors of a TensorFlow or ONNX model into scores, as an ``OutputPlan`` says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from model_serving.core.engine import Scores
from model_serving.core.errors import ScoringFailed
from model_serving.core.messages import OutputRule
from model_serving.engines.foreign_errors import first_line
from model_serving.engines.results import result_of, spelled_number
from model_serving.engines.tensors.outputs import OutputPlan

__all__ = ["Tensor", "TensorReader", "as_matrix", "reader_of"]

Tensor = npt.NDArray[Any]

_SEVERAL = 3
"""If all outputs together have at least this many columns, it is faster to read them in one step."""


def as_matrix(tensor: Tensor, n: int, columns: int | None = None) -> Tensor:
    """Returns a tensor of shape (n, columns) from one of another shape that has these values.

    Taken are (n,), (n, columns), these with more dimensions of size 1, and for one record what is left
    when a model squeezes its batch: a scalar, or (columns,) where ``columns`` is known.

    Raises:
        ScoringFailed: the tensor has any other shape.
    """
    shape = tensor.shape
    if len(shape) == 2 and shape[0] == n:
        return tensor
    wide = [size for size in shape if size != 1]
    if n == 1 and columns is not None and tensor.size == columns and len(wide) <= 1:
        return tensor.reshape(1, columns)
    if n == 1 and not shape:
        return tensor.reshape(1, 1)
    if shape and shape[0] == n and len([size for size in shape[1:] if size != 1]) <= 1:
        return tensor.reshape(n, -1)
    if tensor.size == n and len(wide) <= 1:
        return tensor.reshape(n, 1)
    raise ScoringFailed(f"the model gives a tensor of shape {shape} for {n} records, not (n, columns)")


def reader_of(plan: OutputPlan) -> Callable[[Sequence[Tensor], int], Scores]:
    """Returns what reads n records' tensors of the plan's outputs.

    The commonest plans have a way of their own: for one record each call of numpy is 5 % of what a
    small model takes. What does not have the usual shape goes the general way, which raises ScoringFailed.
    """
    general = TensorReader(plan)
    columns = tuple(output.columns for output in plan.outputs)
    named = all(names for place, names in enumerate(plan.names) if place != plan.label)
    if len(columns) == 1 and plan.label is None and plan.source is not None and plan.source[2] < 0:
        return general.one_matrix if named else general.one_value if columns == (1,) else general
    if len(columns) == 1 and plan.label == 0:
        return general.only_label
    if len(columns) == 2 and plan.label == 0 and plan.source is None and named:
        return general.label_and_matrix
    others = [place for place in range(len(columns)) if place != plan.label]
    widths = [columns[place] for place in others]
    if sum(width or 0 for width in widths) >= _SEVERAL and widths == [len(plan.names[at]) for at in others]:
        return general.several
    return general


class TensorReader:
    """Reads the outputs of an ``OutputPlan``. A single output of one column is not among the named ones."""

    def __init__(self, plan: OutputPlan) -> None:
        self._plan = plan
        self._columns = tuple(output.columns or 0 for output in plan.outputs)
        self._names = plan.names
        self._label = -1 if plan.label is None else plan.label
        self._source, self._rule, self._column = plan.source or (-1, OutputRule.AUTO, -1)
        self._numbers = plan.numbers or _spelled(plan.classes)
        # All outputs but the labels, one behind the other.
        self._others = [place for place in range(len(plan.outputs)) if place != self._label]
        self._widths = [self._columns[place] for place in self._others]
        self._all_names = [name for place in self._others for name in self._names[place]]
        start = sum(self._columns[place] for place in self._others if place < self._source)
        self._span = slice(start, start + self._columns[self._source])

    def __call__(self, tensors: Sequence[Tensor], n: int) -> Scores:
        """Returns the scores of n records from the tensors of the plan's outputs.

        Raises:
            ScoringFailed: a tensor does not have n rows, or other columns than when the model was loaded, or
                a label is not among the classes.
        """
        labels: list[str] | None = None
        result: npt.NDArray[np.float64] | None = None
        outputs: dict[str, npt.NDArray[np.float64]] = {}
        for place, (tensor, columns, names) in enumerate(
            zip(tensors, self._columns, self._names, strict=True)
        ):
            if place == self._label:
                labels = _texts(tensor, n)
                continue
            numbers = _fitted(tensor, n, columns).astype(np.float64)
            if place == self._source:
                result = (
                    result_of(numbers, self._rule) if self._column < 0 else numbers[:, self._column].copy()
                )
            if len(names) == 1:
                outputs[names[0]] = numbers.reshape(n)
            elif names:
                outputs.update(zip(names, numbers.T, strict=True))
        return Scores(self._of_labels(labels or []) if result is None else result, labels, outputs)

    def one_value(self, tensors: Sequence[Tensor], n: int) -> Scores:
        """The same for one output of one column."""
        tensor = tensors[0]
        if tensor.shape != (n, 1):
            return self(tensors, n)
        return Scores(tensor.ravel().astype(np.float64), None, {})

    def one_matrix(self, tensors: Sequence[Tensor], n: int) -> Scores:
        """The same for one output of several columns."""
        tensor, names = tensors[0], self._names[0]
        if tensor.shape != (n, len(names)):
            return self(tensors, n)
        numbers = tensor.astype(np.float64)
        return Scores(result_of(numbers, self._rule), None, dict(zip(names, numbers.T, strict=False)))

    def only_label(self, tensors: Sequence[Tensor], n: int) -> Scores:
        """The same for labels alone."""
        labels = _texts(tensors[0], n)
        return Scores(self._of_labels(labels), labels, {})

    def label_and_matrix(self, tensors: Sequence[Tensor], n: int) -> Scores:
        """The same for labels and a number for each class."""
        labels, tensor = tensors
        names = self._names[1]
        if labels.size != n or tensor.shape != (n, len(names)):
            return self(tensors, n)
        outputs = dict(zip(names, tensor.astype(np.float64).T, strict=False))
        if n == 1:
            word = labels.item()
            if word in self._numbers:  # a text, as all of these
                return Scores(np.array([self._numbers[word]]), [word], outputs)
        words = _words(labels)
        return Scores(self._of_labels(words), words, outputs)

    def several(self, tensors: Sequence[Tensor], n: int) -> Scores:
        """The same for outputs of which each column but the labels has a name."""
        others = [tensors[place] for place in self._others]
        if n != 1 or [tensor.size for tensor in others] != self._widths:
            return self(tensors, n)
        labels = None if self._label < 0 else _texts(tensors[self._label], 1)
        numbers = np.array([number for tensor in others for number in tensor.ravel().tolist()], np.float64)
        outputs = dict(zip(self._all_names, numbers.reshape(-1, 1), strict=False))
        if self._source < 0:
            return Scores(self._of_labels(labels or []), labels, outputs)
        source = numbers[None, self._span]
        result = result_of(source, self._rule) if self._column < 0 else source[:, self._column].copy()
        return Scores(result, labels, outputs)

    def _of_labels(self, labels: Sequence[str]) -> npt.NDArray[np.float64]:
        try:
            return np.array([self._numbers[label] for label in labels])
        except KeyError:
            return self._of_other_labels(labels)

    def _of_other_labels(self, labels: Sequence[str]) -> npt.NDArray[np.float64]:
        index = self._plan.numbers
        found = [spelled_number(label) if index is None else index.get(label) for label in labels]
        if None in found:
            raise ScoringFailed(
                f"the model predicts '{first_line(labels[found.index(None)])}', which "
                f"{'does not spell a number' if index is None else 'is not among its classes'}"
            )
        return np.array(found, dtype=np.float64)


def _fitted(tensor: Tensor, n: int, columns: int) -> Tensor:
    if tensor.shape == (n, columns):
        return tensor
    if columns == 1 and tensor.shape == (n,):
        return tensor.reshape(n, 1)
    matrix = as_matrix(tensor, n, columns)
    if matrix.shape[1] != columns:
        raise ScoringFailed("the model gives a different number of columns than when it was loaded")
    return matrix


def _spelled(classes: Sequence[str]) -> dict[str, float]:
    numbers = {name: spelled_number(name) for name in classes}
    return {name: number for name, number in numbers.items() if number is not None}


def _texts(tensor: Tensor, n: int) -> list[str]:
    if tensor.size != n:
        raise ScoringFailed(f"the model gives {tensor.size} labels for {n} records")
    return _words(tensor)


def _words(labels: Tensor) -> list[str]:
    return [_text(labels.item())] if labels.size == 1 else [*map(_text, labels.ravel().tolist())]


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
