"""Turns the columns of records into a batch: numbers and codes, treated as the outer MiningSchema says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from model_serving.engines.pmml.evaluator.batch import Batch
from model_serving.engines.pmml.evaluator.data_types import numeric_reader
from model_serving.engines.pmml.evaluator.symbols import Texts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from model_serving.core.engine import Columns
    from model_serving.engines.pmml.evaluator.batch import Mask, Rows
    from model_serving.engines.pmml.evaluator.scope import Field, Program
    from model_serving.engines.pmml.evaluator.symbols import Numbers
    from model_serving.engines.pmml.evaluator.treatment import DataField, Treatment

__all__ = ["Input", "Inputs"]


@dataclass(frozen=True, slots=True)
class Input:
    """An input field of the document, with its treatment. ``field.column`` is its place among the inputs."""

    field: Field
    data: DataField
    treatment: Treatment


class Inputs:
    """Makes batches. In most batches every value is present and valid, which one comparison finds out."""

    def __init__(self, inputs: Sequence[Input], program: Program) -> None:
        self._inputs = inputs
        self._program = program
        self._texts = [one for one in inputs if not one.data.kind.is_number]
        self._all_numbers = not self._texts
        self._readers = [_reader(one.data) for one in inputs]
        bounds = [_bounds(one) for one in inputs]
        self._low = np.array([low for low, _ in bounds])
        self._high = np.array([high for _, high in bounds])
        self._checked = [one for one in inputs if one.field.column in self._columns_to_check()]
        self._whole = _columns(inputs, "integer")
        self._float = _columns(inputs, "float")
        self._boolean = _columns(inputs, "boolean")
        self._careful = [one for one in inputs if _needs_care(one)]
        self._fields = [one.field for one in inputs]

    def batch(self, columns: Columns) -> Batch:
        """Returns the batch for records of shape (n, inputs)."""
        n = len(columns)
        texts = Texts(self._program.symbols)
        batch = Batch(n, self._program.slots, texts)
        values, odd = self._encoded(columns, texts)
        for one in self._to_treat(values, odd):
            column = one.field.column
            treated, failed = one.treatment.applied(values[:, column], one.data, odd.get(column))
            values[:, column] = treated
            if failed is not None:
                # An invalid value makes the whole result invalid, even if the model does not look at the field.
                batch.fail(failed)
        batch.inputs = values
        for column, field in enumerate(self._fields):
            batch.put(field, values[:, column])
        return batch

    def _columns_to_check(self) -> set[int]:
        return {
            one.field.column
            for one in self._inputs
            if not one.treatment.is_default or one.data.intervals or one.data.missing
        }

    def _to_treat(self, values: Numbers, odd: dict[int, Mask]) -> list[Input]:
        """Returns the inputs of which some value may be missing or not valid."""
        if not self._checked and not self._careful and not odd:
            return []
        good = (values >= self._low) & (values <= self._high)
        if good.all():
            doubtful = []
        else:
            bad = ~good.all(axis=0)
            doubtful = [one for one in self._checked if bad[one.field.column]]
        more = [one for one in self._careful if one not in doubtful]
        others = [
            one for one in self._inputs if one.field.column in odd and one not in doubtful and one not in more
        ]
        return [*doubtful, *more, *others]

    def _encoded(self, columns: Columns, texts: Texts) -> tuple[Numbers, dict[int, Mask]]:
        odd: dict[int, Mask] = {}
        if self._all_numbers and columns.dtype == np.float64:
            values = np.array(columns, order="C")
        else:
            values = np.empty(columns.shape)
            for place, one in enumerate(self._inputs):
                column = columns[:, place]
                if one.data.kind.is_number:
                    values[:, place] = column.astype(np.float64)
                else:
                    self._encode_texts(column.tolist(), one, place, values, odd, texts)
        if self._whole is not None:
            whole = values[:, self._whole]
            strange = (whole != np.floor(whole)) & ~np.isnan(whole) | np.isinf(whole)
            odd.update(_some(self._whole, strange))
        if self._boolean is not None:
            truth = values[:, self._boolean]
            odd.update(_some(self._boolean, ~((truth == 0.0) | (truth == 1.0) | np.isnan(truth))))
        if self._float is not None:
            with np.errstate(over="ignore"):
                values[:, self._float] = values[:, self._float].astype(np.float32)
        return values, odd

    def _encode_texts(
        self,
        column: list[str],
        one: Input,
        place: int,
        values: Numbers,
        odd: dict[int, Mask],
        texts: Texts,
    ) -> None:
        read = self._readers[place]
        if read is None:
            given = column if one.data.has_empty_text else [text or None for text in column]
            values[:, place] = texts.codes(given)
            return
        strange = np.zeros(len(column), dtype=bool)
        known: dict[str, float] = {}
        for row, text in enumerate(column):
            if not text:
                values[row, place] = np.nan
                continue
            if text not in known:
                try:
                    known[text] = read(text)
                except ValueError:
                    known[text] = np.nan
            values[row, place] = known[text]
            strange[row] = known[text] != known[text]
        if strange.any():
            odd[place] = strange


def _some(places: Rows, masks: npt.NDArray[np.bool_]) -> dict[int, Mask]:
    """Returns the masks that are not empty, by the place of their column."""
    if not masks.any():
        return {}
    return {place: mask for place, mask in zip(places.tolist(), masks.T, strict=True) if mask.any()}


def _reader(data: DataField) -> Callable[[str], float] | None:
    return None if data.kind.is_text or data.kind.is_number else numeric_reader(data.kind.data_type)


def _bounds(one: Input) -> tuple[float, float]:
    """Returns the least and greatest number that need no treatment; infinite where there is no limit."""
    low, high = -np.inf, np.inf
    if len(one.data.intervals) == 1:
        (interval,) = one.data.intervals
        low = interval.low if interval.closed_low else float(np.nextafter(interval.low, np.inf))
        high = interval.high if interval.closed_high else float(np.nextafter(interval.high, -np.inf))
    if one.treatment.outliers != "asIs":
        low, high = max(low, one.treatment.low), min(high, one.treatment.high)
    return low, high


def _needs_care(one: Input) -> bool:
    """Whether bounds do not tell if a value needs treatment."""
    data = one.data
    return bool(data.valid or data.invalid or data.missing or len(data.intervals) > 1)


def _columns(inputs: Sequence[Input], data_type: str) -> Rows | None:
    found = [one.field.column for one in inputs if one.data.kind.data_type == data_type]
    return np.array(found, dtype=np.intp) if found else None
