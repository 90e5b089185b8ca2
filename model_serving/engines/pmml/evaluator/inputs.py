"""Turns the columns of records into a batch: numbers and codes, treated as the outer MiningSchema says."""

from __future__ import annotations

from math import inf, nan
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from model_serving.engines.pmml.evaluator.batch import Batch
from model_serving.engines.pmml.evaluator.number_inputs import (
    BoundedNumbers,
    CarefulNumber,
    needs_bounds_only,
)
from model_serving.engines.pmml.evaluator.quick_inputs import Input, QuickInputs, UsualCodes
from model_serving.engines.pmml.evaluator.record import Failed, Record
from model_serving.engines.pmml.evaluator.symbols import Texts, codes_in

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from model_serving.core.engine import Columns
    from model_serving.engines.pmml.evaluator.batch import Mask, Rows
    from model_serving.engines.pmml.evaluator.scope import Program
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["Inputs"]

_FEW = 4
"""Up to this number of records, plain Python is faster than numpy."""


class Inputs:
    """Makes batches.

    In most batches every value is present and valid. For a few records, ``QuickInputs`` finds that
    out; for many, a look-up of the texts and one comparison of all numbers do.
    """

    def __init__(self, inputs: Sequence[Input], program: Program) -> None:
        self._inputs = inputs
        self._program = program
        self._quick = QuickInputs(inputs, program)
        codes = UsualCodes(program)
        self._texts = [(one, codes.of(one)) for one in inputs if not one.data.kind.is_number]
        numbers = [one for one in inputs if one.data.kind.is_number]
        self._numbers = [one.field.column for one in numbers]
        self._bounded = BoundedNumbers([one for one in numbers if needs_bounds_only(one)])
        self._careful = [CarefulNumber(one) for one in numbers if not needs_bounds_only(one)]
        self._whole = _columns(inputs, "integer")
        self._float = _columns(inputs, "float")
        self._boolean = _columns(inputs, "boolean")

    def batch(self, columns: Columns) -> Batch:
        """Returns the batch for records of shape (n, inputs)."""
        n = len(columns)
        texts = Texts(self._program.symbols)
        batch = Batch(n, texts)
        values = self._few(columns, texts) if n <= _FEW else None
        if values is None:
            failing: dict[int, Mask] = {}
            values = self._encoded(columns, texts, failing)
            odd = self._odd(values)
            self._bounded.treat(values, odd, failing)
            for one in self._careful:
                one.treat(values, odd, failing)
            # An invalid value makes the whole result invalid, also if the model never uses the field.
            for place in sorted(failing):
                batch.fail(failing[place])
                batch.faults.append((place, failing[place]))
        batch.inputs = values
        return batch

    def record(self, columns: Columns) -> Record:
        """Returns the record of shape (1, inputs).

        Raises:
            Failed: a value is invalid, and the document refuses such values.
        """
        texts = Texts(self._program.symbols)
        (row,) = self._quick.rows(columns, texts)
        if row is None:
            raise Failed
        return Record(row, texts)

    def fault_of(self, batch: Batch, columns: Columns, record: int) -> str:
        """Returns which value makes a record fail, and by which rule; empty if none does.

        Args:
            batch: the batch that was made of ``columns``.
            columns: shape (n, inputs).
            record: the record's place.
        """
        for place, failed in batch.faults:
            if failed[record]:
                one = self._inputs[place]
                return one.treatment.fault(one.field.name, columns[record, place], one.data)
        return ""

    def missing_in(self, batch: Batch, record: int) -> list[str]:
        """Returns the names of the fields of which a record has no value."""
        if batch.inputs is None:
            return []
        places = np.flatnonzero(np.isnan(batch.inputs[record])).tolist()
        return [self._inputs[place].field.name for place in places]

    def _few(self, columns: Columns, texts: Texts) -> Numbers | None:
        """Returns the values of a few records, None when one of them fails."""
        rows = self._quick.rows(columns, texts)
        return None if None in rows else np.array(rows, dtype=np.float64)

    def _encoded(self, columns: Columns, texts: Texts, failing: dict[int, Mask]) -> Numbers:
        """Returns the values, those of texts after their treatment, and puts into ``failing`` who fails."""
        if not self._texts:
            values = np.array(columns, dtype=np.float64, order="C")
        else:
            values = np.empty(columns.shape)
            for place in self._numbers:
                values[:, place] = columns[:, place]
            for one, usual in self._texts:
                place = one.field.column
                given = columns[:, place].tolist()
                codes = codes_in(usual, given)
                if codes is None:
                    codes, failed = _codes_of(given, usual, one, texts)
                    if failed is not None:
                        failing[place] = failed
                values[:, place] = codes
        if self._float is not None:
            with np.errstate(over="ignore"):
                values[:, self._float] = values[:, self._float].astype(np.float32)
        return values

    def _odd(self, values: Numbers) -> dict[int, Mask]:
        """Returns masks of the numbers that no field of the type has, by the place of their column."""
        odd: dict[int, Mask] = {}
        if self._whole is not None:
            whole = values[:, self._whole]
            strange = (whole != np.floor(whole)) & ~np.isnan(whole) | np.isinf(whole)
            odd.update(_some(self._whole, strange))
        if self._boolean is not None:
            truth = values[:, self._boolean]
            odd.update(_some(self._boolean, ~((truth == 0.0) | (truth == 1.0) | np.isnan(truth))))
        return odd


def _codes_of(
    given: list[str], usual: Mapping[str, float], one: Input, texts: Texts
) -> tuple[Numbers, Mask | None]:
    """Returns the values of a column of texts, and a mask of those that make their records fail."""
    found: dict[str, float] = {}
    for text in set(given):
        value = usual[text] if text in usual else one.of_text(text, texts)
        found[text] = inf if value is None else value
    codes = np.array(list(map(found.__getitem__, given)))
    failed = codes == inf
    if not failed.any():
        return codes, None
    codes[failed] = nan
    return codes, failed


def _some(places: Rows, masks: npt.NDArray[np.bool_]) -> dict[int, Mask]:
    """Returns the masks that are not empty, by the place of their column."""
    if not masks.any():
        return {}
    return {place: mask for place, mask in zip(places.tolist(), masks.T, strict=True) if mask.any()}


def _columns(inputs: Sequence[Input], data_type: str) -> Rows | None:
    found = [one.field.column for one in inputs if one.data.kind.data_type == data_type]
    return np.array(found, dtype=np.intp) if found else None
