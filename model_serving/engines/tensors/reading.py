"""Reads the output tensors of a TensorFlow or ONNX model into scores, as an ``OutputPlan`` says."""

from __future__ import annotations

import math
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

_LISTED = range(3, 101)
"""For this many columns in all outputs together, lists of numbers are faster than arrays of numpy."""

_MOST_REMEMBERED = 1000
"""How many labels with their numbers are remembered, where the model does not state its classes."""


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
    widths = [columns[place] or 0 for place in others]
    if sum(widths) in _LISTED and widths == [len(plan.names[place]) for place in others]:
        return general.one_record
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
        # What single labels have meant before. The model gives all of them as values of one type.
        self._seen: dict[object, tuple[str, npt.NDArray[np.float64]]] = {}
        # The places of all outputs but the labels, and how many columns they have.
        self._others = [
            (place, columns) for place, columns in enumerate(self._columns) if place != self._label
        ]
        # Where the numbers of the source are among those of all outputs but the labels.
        first = sum(columns for place, columns in self._others if place < self._source)
        self._source_slice = slice(first, first + self._columns[self._source])
        self._all_names = [name for place, _ in self._others for name in self._names[place]]

    def __call__(self, tensors: Sequence[Tensor], n: int) -> Scores:
        """Returns the scores of n records from the tensors of the plan's outputs.

        Raises:
            ScoringFailed: a tensor does not have n rows, or other columns than when the model was loaded, or
                a label is not among the classes.
        """
        labels = None if self._label < 0 else _texts(tensors[self._label], n)
        result: npt.NDArray[np.float64] | None = None
        outputs: dict[str, npt.NDArray[np.float64]] = {}
        for place, columns in self._others:
            numbers, names = _fitted(tensors[place], n, columns).astype(np.float64), self._names[place]
            if columns == 1:
                # Without the matrix, because a call of numpy is 5 % of what a small model takes.
                numbers = numbers.reshape(n)
                if names:
                    outputs[names[0]] = numbers
            else:
                outputs.update(zip(names, numbers.T, strict=False))
            if place == self._source:
                result = self._result_of(numbers)
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
            label = labels.item()
            word, number = self._seen.get(label) or self._of_label(label)
            return Scores(number.copy(), [word], outputs)
        words = _words(labels)
        return Scores(self._of_labels(words), words, outputs)

    def one_record(self, tensors: Sequence[Tensor], n: int) -> Scores:
        """The same where all columns but the labels have names: with few calls of numpy for one record."""
        if n != 1:
            return self(tensors, n)
        numbers: list[float] = []
        for place, columns in self._others:
            part = tensors[place].ravel().tolist()
            if len(part) != columns:
                return self(tensors, n)
            numbers += part
        labels = None if self._label < 0 else _texts(tensors[self._label], 1)
        result = self._result_of_numbers(numbers, labels)
        if result is None:
            return self(tensors, n)
        numbers.append(result)
        row = np.array(numbers, np.float64)
        return Scores(row[-1:], labels, dict(zip(self._all_names, row.reshape(-1, 1), strict=False)))

    def _result_of_numbers(self, numbers: list[float], labels: Sequence[str] | None) -> float | None:
        """The result of one record; None where ``__call__`` has to find it."""
        if self._source < 0:
            return float(self._of_labels(labels or []).item())
        if self._rule is OutputRule.VALUE or self._column >= 0:
            return numbers[self._source_slice.start + max(self._column, 0)]
        numbers = numbers[self._source_slice]
        # The greatest of a list with a NaN may be any of it.
        return None if math.isnan(sum(numbers)) else numbers.index(max(numbers))

    def _result_of(self, numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        if numbers.ndim == 1:
            return numbers
        return result_of(numbers, self._rule) if self._column < 0 else numbers[:, self._column].copy()

    def _of_label(self, label: object) -> tuple[str, npt.NDArray[np.float64]]:
        """The text of a label, and its number, shape (1,), which the caller must not change."""
        word = _text(label)
        found = word, self._of_labels([word])
        if len(self._seen) < _MOST_REMEMBERED:
            self._seen[label] = found
        return found

    def _of_labels(self, labels: Sequence[str]) -> npt.NDArray[np.float64]:
        try:
            return np.array([self._numbers[label] for label in labels])
        except KeyError:
            return self._of_other_labels(labels)

    def _of_other_labels(self, labels: Sequence[str]) -> npt.NDArray[np.float64]:
        index, found = self._plan.numbers, list[float]()
        for label in labels:
            number = spelled_number(label) if index is None else index.get(label)
            if number is None:
                raise ScoringFailed(
                    f"the model predicts '{first_line(label)}', which "
                    f"{'does not spell a number' if index is None else 'is not among its classes'}"
                )
            found.append(number)
        if len(self._numbers) < _MOST_REMEMBERED:
            self._numbers.update(zip(labels, found, strict=True))
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
    if labels.size == 1:
        word = labels.item()
        return [word if type(word) is str else _text(word)]
    return [*map(_text, labels.ravel().tolist())]


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
