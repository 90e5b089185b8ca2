"""Reads the output tensors of a TensorFlow or ONNX model into scores, as an ``OutputPlan`` says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from model_serving.core.engine import Scores
from model_serving.core.errors import ScoringFailed
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
        self._columns = tuple(output.columns for output in plan.outputs)

    def __call__(self, tensors: Sequence[Tensor], n: int) -> Scores:
        """Returns the scores of n records from the tensors of the plan's outputs.

        Raises:
            ScoringFailed: a tensor does not have n rows, or other columns than when the model was loaded, or
                a label is not among the classes.
        """
        plan = self._plan
        labels: list[str] = []
        outputs: dict[str, npt.NDArray[np.float64]] = {}
        result: npt.NDArray[np.float64] | None = None
        for place, tensor in enumerate(tensors):
            columns = self._columns[place]
            matrix = as_matrix(tensor, n, columns)
            if matrix.shape[1] != columns:
                raise ScoringFailed("the model gives a different number of columns than when it was loaded")
            if place == plan.label:
                labels = [_text(value) for value in matrix[:, 0].tolist()]
                continue
            numbers = matrix.astype(np.float64)
            if plan.source is not None and plan.source[0] == place:
                _, rule, column = plan.source
                result = result_of(numbers, rule) if column < 0 else numbers[:, column].copy()
            for column, name in enumerate(plan.names[place]):
                outputs[name] = numbers[:, column]
        if result is None:
            result = self._numbers(labels)
        return Scores(result, None if plan.label is None else labels, outputs)

    def _numbers(self, labels: Sequence[str]) -> npt.NDArray[np.float64]:
        known = self._plan.numbers
        found = [spelled_number(label) if known is None else known.get(label) for label in labels]
        if None in found:
            raise ScoringFailed(
                f"the model predicts '{first_line(labels[found.index(None)])}', which "
                f"{'does not spell a number' if known is None else 'is not among its classes'}"
            )
        return np.array(found, dtype=np.float64)


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
