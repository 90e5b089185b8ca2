"""Turns the fields of records into the input tensors of a TensorFlow or ONNX model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from model_serving.core.errors import ModelRejected, ScoringFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from model_serving.core.engine import Columns, RecordSchema

__all__ = ["TensorInput", "TensorInputs", "plan_inputs"]


@dataclass(frozen=True, slots=True)
class TensorInput:
    """An input of a model. ``dtype`` is None for text, ``shape`` is None when the rank is not known."""

    name: str
    dtype: np.dtype[Any] | None
    shape: tuple[int | None, ...] | None

    @property
    def is_matrix(self) -> bool:
        """Whether the input takes all fields at once, shape (n, k); true if the rank is unknown."""
        return self.shape is None or (len(self.shape) == 2 and self.shape[1] != 1)

    def __str__(self) -> str:
        sizes = (
            "?"
            if self.shape is None
            else ", ".join("n" if size is None else str(size) for size in self.shape)
        )
        return f"{self.name} {self.dtype or 'text'} [{sizes}]"


@dataclass(frozen=True, slots=True)
class TensorInputs:
    """The record fields that a model takes, and the tensors that are made from them.

    ``one_by_one``: the model's batch size is fixed at 1.
    """

    fields: tuple[str, ...]
    tensors: tuple[TensorInput, ...]
    one_by_one: bool

    @property
    def has_text(self) -> bool:
        """Whether a tensor takes text."""
        return any(tensor.dtype is None for tensor in self.tensors)

    def feeds(self, columns: Columns) -> list[npt.NDArray[np.generic]]:
        """Returns the tensors, in the order of ``tensors``, for values of shape (n, fields).

        Raises:
            ScoringFailed: a tensor of whole numbers gets a fraction, NaN, or a number that is too large.
        """
        if len(self.tensors) == 1 and len(self.tensors[0].shape or (0, 0)) == 2:
            return [_as(columns, self.tensors[0])]
        return [
            _as(columns[:, index], tensor).reshape((-1, *(1,) * (len(tensor.shape or ()) - 1)))
            for index, tensor in enumerate(self.tensors)
        ]

    def zeros(self) -> Columns:
        """Returns records of zeros to try the model with: two, or one when its batch size is fixed at 1."""
        return np.zeros((1 if self.one_by_one else 2, len(self.fields)))


def plan_inputs(tensors: Sequence[TensorInput], given: tuple[str, ...], schema: RecordSchema) -> TensorInputs:
    """Fits a record type to a model's inputs.

    One tensor of shape (n, k) takes ``given`` or else all numeric fields, in order. Tensors of shape (n,) or
    (n, 1) take one field each: those of ``given`` in the alphabetical order of the tensors (as TensorFlow
    sorts them), or else the fields with the same names as the tensors.

    Raises:
        ModelRejected: the record type and the inputs do not fit.
    """
    listed = "; ".join(str(tensor) for tensor in tensors)
    for tensor in tensors:
        if tensor.dtype is not None and tensor.dtype.kind not in "fiub":
            raise ModelRejected(
                f"the model's input {tensor} is neither a number nor text: export it with floats"
            )
        if tensor.shape is not None and (not tensor.shape or tensor.shape[0] not in {None, 1}):
            raise ModelRejected(
                f"the model's input {tensor} does not take batches of any size: export it as (n, k)"
            )
        if tensor.shape is not None and len(tensor.shape) > 2:
            raise ModelRejected(f"the model's input {tensor} has more than two dimensions: records are flat")
    if not tensors:
        raise ModelRejected("the model has no input")
    if len(tensors) > 1 and any(tensor.is_matrix for tensor in tensors):
        raise ModelRejected(f"several inputs must take one field each, but this model has {listed}")
    ordered = tuple(tensors) if len(tensors) == 1 else tuple(sorted(tensors, key=lambda tensor: tensor.name))
    one_by_one = any(tensor.shape is not None and tensor.shape[0] == 1 for tensor in tensors)
    if ordered[0].is_matrix or (len(ordered) == 1 and len(given or schema.numeric) == 1):
        fields = tuple(schema.field_named(name) for name in given) or schema.numeric
        width = ordered[0].shape[1] if ordered[0].shape and len(ordered[0].shape) == 2 else None
        if width is not None and width != len(fields):
            raise ModelRejected(
                f"the model's input {ordered[0]} takes {width} fields, "
                f"{'inputs names' if given else schema.name + ' has'} {len(fields)} ({', '.join(fields)}): "
                "name the fields in inputs, in the order that the model takes them"
            )
    else:
        if given and len(given) != len(ordered):
            raise ModelRejected(
                f"inputs names {len(given)} fields, but the model takes {len(ordered)}: {listed}"
            )
        fields = tuple(schema.field_named(name) for name in (given or [tensor.name for tensor in ordered]))
    _check_kinds(ordered, fields, schema)
    return TensorInputs(fields, ordered, one_by_one)


def _check_kinds(tensors: Sequence[TensorInput], fields: Sequence[str], schema: RecordSchema) -> None:
    for index, field in enumerate(fields):
        tensor = tensors[index] if len(tensors) == len(fields) else tensors[0]
        if (tensor.dtype is None) != (field in schema.text):
            raise ModelRejected(
                f"the model's input {tensor} does not take '{field}' of {schema.name}, "
                f"which is {'text' if field in schema.text else 'a number'}"
            )


def _as(values: Columns, tensor: TensorInput) -> npt.NDArray[np.generic]:
    if tensor.dtype is None:
        return values.astype(object)
    if tensor.dtype.kind in "fb":
        # A number beyond the range of float32 becomes infinite, as it would in the model.
        with np.errstate(over="ignore"):
            return values.astype(tensor.dtype, order="C")
    numbers = values.astype(np.float64)
    limits = np.iinfo(tensor.dtype)
    if not ((numbers == np.rint(numbers)) & (numbers >= limits.min) & (numbers <= limits.max)).all():
        raise ScoringFailed(
            f"the model's input {tensor} takes whole numbers, but a record has another number"
        )
    return numbers.astype(tensor.dtype, order="C")
