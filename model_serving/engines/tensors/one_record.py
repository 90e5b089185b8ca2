"""Scores a single record with few calls: of numpy, and of the model's library.

A call of numpy takes half a microsecond, and a small model takes five. So the tensors of one record stay in
the same memory from record to record, all inputs of a type side by side. The record is copied into it, and
the library may keep what it has found out about these tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from model_serving.core.errors import ScoringFailed
from model_serving.engines.tensors.reading import Tensor

if TYPE_CHECKING:
    from model_serving.core.engine import Columns, Scores
    from model_serving.engines.tensors.inputs import TensorInputs

__all__ = ["Bindable", "BoundRun", "OneRecord", "OneRecordScorer"]

BoundRun = Callable[[], Sequence[Tensor]]
"""Computes the outputs for what its input tensors hold now. The next call may overwrite them."""


@runtime_checkable
class Bindable(Protocol):
    """A ``tensors.model.Run`` that can be bound to tensors."""

    def bind(self, tensors: Sequence[Tensor]) -> BoundRun:
        """Returns a run of what these tensors will hold. They hold a record now. Raises ScoringFailed."""
        ...


@dataclass(frozen=True, slots=True)
class _Memory:
    """The values of all inputs of one type: shape (1, k), from these columns of the record (None: all).

    ``is_whole``: they are whole numbers, or true and false.
    """

    values: Tensor
    columns: slice | list[int] | None
    is_whole: bool


class OneRecord:
    """The input tensors of one record. Only one thread may use it at a time."""

    def __init__(self, inputs: TensorInputs) -> None:
        """Makes tensors of zeros, or of empty texts."""
        self.tensors: list[Tensor] = [part.filled(1) for part in inputs.parts]
        self._memories: list[_Memory] = []
        self._quiet = _quiet_context()
        taken_from = [(at, part) for at, part in enumerate(inputs.parts) if part.places]
        for dtype in dict.fromkeys(part.tensor.dtype for _, part in taken_from):
            here = [(at, part) for at, part in taken_from if part.tensor.dtype == dtype]
            places = [place for _, part in here for place in part.places]
            values = np.full(len(places), "", object) if dtype is None else np.zeros(len(places), dtype)
            start = 0
            for at, part in here:
                self.tensors[at] = values[start : start + len(part.places)].reshape(1, *part.sizes)
                start += len(part.places)
            taken = _as_slice(places, len(inputs.fields))
            self._memories.append(_Memory(values[None, :], taken, values.dtype.kind in "biu"))

    def fill(self, columns: Columns) -> None:
        """Puts a record, shape (1, fields), into the tensors.

        Raises:
            ScoringFailed: a tensor of whole numbers gets another number.
        """
        self._quiet.run(self._fill, columns)

    def _fill(self, columns: Columns) -> None:
        for memory in self._memories:
            part = columns if memory.columns is None else columns[:, memory.columns]
            memory.values[:] = part
            if memory.is_whole and memory.values.tolist() != part.tolist():
                raise ScoringFailed("a tensor of whole numbers gets another number")


class OneRecordScorer:
    """Scores single records, in any number of threads: each takes an ``OneRecord`` that no other uses."""

    def __init__(
        self, inputs: TensorInputs, run: Bindable, read: Callable[[Sequence[Tensor], int], Scores]
    ) -> None:
        """``read`` returns the scores of n records, without keeping the tensors that it is given."""
        self._inputs = inputs
        self._run = run
        self._read = read
        self._free: list[tuple[OneRecord, BoundRun]] = []

    def score(self, columns: Columns) -> Scores | None:
        """Returns the scores of one record; None where it fails, which the usual way then explains."""
        try:
            try:
                bound = self._free.pop()
                bound[0].fill(columns)
            except IndexError:
                bound = self._bound(columns)
            scores = self._read(bound[1](), 1)
        except Exception:  # noqa: BLE001 - the record is scored again the usual way
            return None
        self._free.append(bound)
        return scores

    def _bound(self, columns: Columns) -> tuple[OneRecord, BoundRun]:
        record = OneRecord(self._inputs)
        record.fill(columns)
        return record, self._run.bind(record.tensors)


def _as_slice(places: list[int], width: int) -> slice | list[int] | None:
    """Returns the columns at these places in the form that numpy takes fastest."""
    if places == list(range(width)):
        return None
    if places == list(range(places[0], places[0] + len(places))):
        return slice(places[0], places[0] + len(places))
    return places


def _quiet_context() -> Context:
    """Returns a context in which numpy casts without warnings: to enter ``np.errstate`` takes longer."""
    with np.errstate(over="ignore", invalid="ignore"):
        return copy_context()
