"""The inputs of a TensorFlow or ONNX model, and the tensors that are made from the fields of records.

Which field goes where is decided in ``tensors.pairing``. A feed may have any of these shapes:

* (n,), (n, 1), (n, 1, 1): one field,
* (n, k), and the windows (n, k, 1) and (n, 1, k): k fields in order; with k unknown, all that are left,
* (n, a, b): a × b fields, row by row.

n is the batch size. Where a model fixes it, its records are scored that many at a time, and a batch that is
not full is filled up with copies of its last record.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from model_serving.core.engine import InputDescription
from model_serving.core.errors import ScoringFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from model_serving.core.engine import Columns

__all__ = ["Feed", "TensorInput", "TensorInputs"]

_TRIAL_RECORDS = 5
"""Not 1, 2 or 3, the commonest numbers of output columns, so that rows and columns are told apart."""


_FEW = 8
"""Up to so many records, Python compares their numbers faster than numpy."""


@dataclass(frozen=True, slots=True)
class TensorInput:
    """An input of a model. ``dtype`` is None for text, ``shape`` is None when the rank is not known."""

    name: str
    dtype: np.dtype[Any] | None
    shape: tuple[int | None, ...] | None

    @property
    def sizes(self) -> tuple[int | None, ...]:
        """The sizes after the batch size, as far as the model fixes them."""
        return (None,) if self.shape is None else self.shape[1:]

    @property
    def width(self) -> int | None:
        """The number of fields that the input takes for each record, None when the model does not say."""
        return None if None in self.sizes else math.prod(size for size in self.sizes if size is not None)

    def __str__(self) -> str:
        sizes = (
            "?"
            if self.shape is None
            else ", ".join("n" if size is None else str(size) for size in self.shape)
        )
        return f"{self.name} {self.dtype or 'text'} [{sizes}]"


@dataclass(frozen=True, slots=True)
class Feed:
    """What one input is made of: the columns at ``places``, with ``sizes`` after the batch size.

    Without places it is filled: no result depends on it, and records do not have it.
    """

    tensor: TensorInput
    places: tuple[int, ...]
    sizes: tuple[int, ...]

    def filled(self, n: int) -> npt.NDArray[np.generic]:
        """Returns zeros or empty texts for n records."""
        shape = (n, *self.sizes)
        return np.full(shape, "", object) if self.tensor.dtype is None else np.zeros(shape, self.tensor.dtype)


@dataclass(frozen=True, slots=True)
class _Block:
    """Inputs of one type. Their columns are converted together, because a call of numpy takes 1 µs."""

    first: Feed
    columns: slice | list[int] | None
    cuts: tuple[tuple[int, slice | None, tuple[int, ...] | None], ...]

    def fill(self, columns: Columns, made: list[npt.NDArray[np.generic]]) -> None:
        values = _as(columns if self.columns is None else columns[:, self.columns], self.first.tensor)
        for at, part, sizes in self.cuts:
            tensor = values if part is None else values[:, part]
            made[at] = tensor if sizes is None else tensor.reshape(len(columns), *sizes)


@dataclass(frozen=True, slots=True)
class TensorInputs:
    """The record fields that a model takes, and the tensors that are made from them.

    ``batch`` is the number of records that the model takes at a time, None when it takes any number.
    """

    fields: tuple[str, ...]
    parts: tuple[Feed, ...]
    batch: int | None
    _blocks: tuple[_Block, ...] = field(init=False, repr=False)
    _filled: tuple[int, ...] = field(init=False, repr=False)
    _one_of_floats: np.dtype[Any] | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Finds out how the tensors are made, which is the same for all records."""
        fields, parts = self.fields, self.parts
        kinds = dict.fromkeys(part.tensor.dtype for part in parts if part.places)
        object.__setattr__(self, "_filled", tuple(at for at, part in enumerate(parts) if not part.places))
        object.__setattr__(self, "_blocks", tuple(_block(parts, dtype, len(fields)) for dtype in kinds))
        is_one = len(parts) == 1 and parts[0].places == tuple(range(len(fields))) and len(parts[0].sizes) == 1
        dtype = parts[0].tensor.dtype
        is_float = is_one and dtype is not None and dtype.kind == "f"
        object.__setattr__(self, "_one_of_floats", dtype if is_float else None)

    @property
    def tensors(self) -> tuple[TensorInput, ...]:
        """The inputs, in the order of ``feeds``."""
        return tuple(part.tensor for part in self.parts)

    @property
    def filled(self) -> tuple[str, ...]:
        """The names of the inputs that no field goes into."""
        return tuple(self.parts[at].tensor.name for at in self._filled)

    @property
    def described(self) -> tuple[InputDescription, ...]:
        """The inputs for people: a line for each field that an input takes."""
        return tuple(
            InputDescription(part.tensor.name, str(part.tensor).removeprefix(f"{part.tensor.name} "), name)
            for part in self.parts
            for name in (self.fields[place] for place in part.places)
        )

    def feeds(self, columns: Columns) -> list[npt.NDArray[np.generic]]:
        """Returns the tensors for values of shape (n, fields).

        Raises:
            ScoringFailed: a tensor of whole numbers gets a fraction, NaN, or a number that is too large.
        """
        if self._one_of_floats is not None:
            return [_as_floats(columns, self._one_of_floats)]
        made: list[Any] = [None] * len(self.parts)
        for block in self._blocks:
            block.fill(columns, made)
        for at in self._filled:
            made[at] = self.parts[at].filled(len(columns))
        return made

    def trial(self, number: float = 0.0, text: str = "") -> Columns:
        """Returns records to try the model with: the same number and text in all fields."""
        texts = {place for part in self.parts if part.tensor.dtype is None for place in part.places}
        count = self.batch or _TRIAL_RECORDS
        if not texts:
            return np.full((count, len(self.fields)), number)
        row: list[Any] = [text if place in texts else number for place in range(len(self.fields))]
        return np.array([row] * count, dtype=object)


def _block(parts: Sequence[Feed], dtype: np.dtype[Any] | None, width: int) -> _Block:
    # For numpy, None equals float64, the type that it takes if none is given.
    is_text = dtype is None
    here = [
        (at, part)
        for at, part in enumerate(parts)
        if part.places and (part.tensor.dtype is None) == is_text and (is_text or part.tensor.dtype == dtype)
    ]
    places = [place for _, part in here for place in part.places]
    columns: slice | list[int] | None = places
    if places == list(range(width)):
        columns = None
    elif places == list(range(places[0], places[0] + len(places))):
        columns = slice(places[0], places[0] + len(places))
    cuts, start = [], 0
    for at, part in here:
        count = len(part.places)
        cut = None if count == len(places) else slice(start, start + count)
        cuts.append((at, cut, None if part.sizes == (count,) else part.sizes))
        start += count
    return _Block(here[0][1], columns, tuple(cuts))


def _as(values: Columns, tensor: TensorInput) -> npt.NDArray[np.generic]:
    if tensor.dtype is None:
        return values.astype(object, copy=False)
    if tensor.dtype.kind == "f":
        return _as_floats(values, tensor.dtype)
    numbers = values.astype(np.float64, copy=False)
    made = _as_whole(numbers, tensor.dtype)
    # A fraction, NaN, or a number that the type cannot hold has become another number.
    same = made.tolist() == numbers.tolist() if len(made) <= _FEW else bool((made == numbers).all())
    if not same:
        raise ScoringFailed(
            f"the model's input {tensor} takes "
            f"{'0 and 1' if tensor.dtype.kind == 'b' else 'whole numbers'}, but a record has another number"
        )
    return made


# A number beyond the range of float32 becomes infinite, as it would in the model.
@np.errstate(over="ignore")
def _as_floats(values: Columns, dtype: np.dtype[Any]) -> npt.NDArray[np.generic]:
    made: npt.NDArray[np.generic] = values.astype(dtype)
    return made if made.flags.c_contiguous else np.ascontiguousarray(made)


@np.errstate(invalid="ignore")
def _as_whole(values: npt.NDArray[np.float64], dtype: np.dtype[Any]) -> npt.NDArray[np.generic]:
    made: npt.NDArray[np.generic] = values.astype(dtype, order="C")
    return made
