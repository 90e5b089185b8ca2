"""Reads the output tensors of a TensorFlow or ONNX model into scores, as an ``OutputPlan`` says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from model_serving.core.engine import Scores
from model_serving.core.errors import ScoringFailed
from model_serving.core.messages import OutputRule
from model_serving.engines.foreign_errors import first_line
from model_serving.engines.results import result_of, spelled_number
from model_serving.engines.tensors.outputs import OutputPlan

__all__ = ["Tensor", "TensorReader", "as_matrix"]

Tensor = npt.NDArray[Any]


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


class TensorReader:
    """Reads the outputs of an ``OutputPlan``. A single output of one column is not among the named ones."""

    def __init__(self, plan: OutputPlan) -> None:
        self._plan = plan
        self._columns = tuple(output.columns or 0 for output in plan.outputs)
        self._names = plan.names
        self._label = -1 if plan.label is None else plan.label
        self._source, self._rule, self._column = plan.source or (-1, OutputRule.AUTO, -1)
        spells = plan.label is not None and not plan.outputs[plan.label].is_text and plan.numbers is None
        self._label_is_number = spells
        self._numbers = plan.numbers or _spelled(plan.classes)

    def __call__(self, tensors: Sequence[Tensor], n: int) -> Scores:
        """Returns the scores of n records from the tensors of the plan's outputs.

        Raises:
            ScoringFailed: a tensor does not have n rows, or other columns than when the model was loaded, or
                a label is not among the classes.
        """
        labels: list[str] | None = None
        result: npt.NDArray[np.float64] | None = None
        outputs: dict[str, npt.NDArray[np.float64]] = {}
        for place, tensor in enumerate(tensors):
            columns = self._columns[place]
            matrix = tensor if tensor.shape == (n, columns) else _fitted(tensor, n, columns)
            if place == self._label:
                labels = _texts(matrix)
                if self._label_is_number and self._source < 0:
                    result = matrix.ravel().astype(np.float64)
                continue
            numbers = matrix.astype(np.float64)
            if place == self._source:
                result = self._result(numbers)
            names = self._names[place]
            if names:
                outputs.update(zip(names, numbers.T, strict=True))
        if result is None:
            result = self._of_labels(labels or [])
        return Scores(result, labels, outputs)

    def _result(self, numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return result_of(numbers, self._rule) if self._column < 0 else numbers[:, self._column].copy()

    def _of_labels(self, labels: Sequence[str]) -> npt.NDArray[np.float64]:
        found = [self._numbers.get(label) for label in labels]
        if None in found and self._plan.numbers is None:
            found = [spelled_number(label) for label in labels]
        if None in found:
            raise ScoringFailed(
                f"the model predicts '{first_line(labels[found.index(None)])}', which "
                f"{'does not spell a number' if self._plan.numbers is None else 'is not among its classes'}"
            )
        return np.array(found, dtype=np.float64)


def _fitted(tensor: Tensor, n: int, columns: int) -> Tensor:
    matrix = as_matrix(tensor, n, columns)
    if matrix.shape[1] != columns:
        raise ScoringFailed("the model gives a different number of columns than when it was loaded")
    return matrix


def _spelled(classes: Sequence[str]) -> dict[str, float]:
    numbers = {name: spelled_number(name) for name in classes}
    return {name: number for name, number in numbers.items() if number is not None}


def _texts(matrix: Tensor) -> list[str]:
    values = matrix.ravel().tolist()
    if values and isinstance(values[0], bytes):
        return [value.decode("utf-8", "replace") for value in values]
    return [str(value) for value in values]
