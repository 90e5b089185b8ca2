"""Turns the columns of records into a batch: numbers and codes, treated as the outer MiningSchema says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from model_serving.engines.pmml.evaluator.batch import Batch
from model_serving.engines.pmml.evaluator.data_types import numeric_reader
from model_serving.engines.pmml.evaluator.quick_inputs import (
    Input,
    QuickInputs,
    bounds_of,
    may_change,
    usual_codes,
)
from model_serving.engines.pmml.evaluator.record import Failed, Record
from model_serving.engines.pmml.evaluator.symbols import Texts, codes_in

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from model_serving.core.engine import Columns
    from model_serving.engines.pmml.evaluator.batch import Mask, Rows
    from model_serving.engines.pmml.evaluator.scope import Program
    from model_serving.engines.pmml.evaluator.symbols import Numbers
    from model_serving.engines.pmml.evaluator.treatment import DataField

__all__ = ["Inputs"]

_FEW = 4
"""Up to this number of records, plain Python is faster than numpy."""

_NO_CODES: dict[str, float] = {}
_MOST_IN_TABLE = 100_000


class Inputs:
    """Makes batches.

    In most batches every value is present and valid. For a few records, ``QuickInputs`` finds that
    out; for many, one comparison of the whole matrix does.
    """

    def __init__(self, inputs: Sequence[Input], program: Program) -> None:
        self._inputs = inputs
        self._program = program
        self._quick = QuickInputs(inputs, program)
        self._all_numbers = all(one.data.kind.is_number for one in inputs)
        self._usual = [
            usual_codes(one.data, program) if one.data.kind.is_text else _NO_CODES for one in inputs
        ]
        self._readers = [_reader(one.data) for one in inputs]
        bounds = [bounds_of(one) for one in inputs]
        self._low = np.array([low for low, _ in bounds])
        self._high = np.array([high for _, high in bounds])
        self._checked = [one for one in inputs if may_change(one) and not _needs_care(one)]
        self._careful = [(one, _declared(one)) for one in inputs if _needs_care(one)]
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
            values, odd, usual = self._encoded(columns, texts)
            for one in self._to_treat(values, odd, usual):
                column = one.field.column
                treated, failed = one.treatment.applied(values[:, column], one.data, odd.get(column))
                values[:, column] = treated
                if failed is not None:
                    # An invalid value makes the whole result invalid, also if the model never uses the field.
                    batch.fail(failed)
                    batch.faults.append((column, failed))
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

    def _to_treat(self, values: Numbers, odd: dict[int, Mask], usual: set[int]) -> list[Input]:
        """Returns the inputs of which some value may be missing or not valid, but for the usual ones."""
        doubtful: list[Input] = []
        if self._checked:
            good = (values >= self._low) & (values <= self._high)
            if not good.all():
                bad = ~good.all(axis=0)
                doubtful = [one for one in self._checked if bad[one.field.column]]
        doubtful += [
            one
            for one, declared in self._careful
            if one.field.column not in usual
            and (declared is None or not declared.all_of(values[:, one.field.column]))
        ]
        if odd:
            known = {one.field.column for one in doubtful}
            doubtful += [self._inputs[column] for column in odd if column not in known]
        return doubtful

    def _encoded(self, columns: Columns, texts: Texts) -> tuple[Numbers, dict[int, Mask], set[int]]:
        """Returns the values, masks of those that no such type has, and the columns that need no care."""
        odd: dict[int, Mask] = {}
        usual: set[int] = set()
        if self._all_numbers and columns.dtype == np.float64:
            values = np.array(columns, order="C")
        else:
            values = np.empty(columns.shape)
            for place, one in enumerate(self._inputs):
                column = columns[:, place]
                if one.data.kind.is_number:
                    values[:, place] = column.astype(np.float64)
                    continue
                given = column.tolist()
                codes = codes_in(self._usual[place], given)
                if codes is None:
                    self._encode_texts(given, one, place, values, odd, texts)
                else:
                    values[:, place] = codes
                    usual.add(place)
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
        return values, odd, usual

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
            has_missing = not one.data.has_empty_text and "" in column
            values[:, place] = texts.codes([text or None for text in column] if has_missing else column)
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


class _Declared:
    """The valid values of a field as a table, for small whole numbers such as codes of texts."""

    def __init__(self, valid: Sequence[float]) -> None:
        self._table = np.zeros(int(max(valid)) + 2, dtype=bool)
        self._table[np.array(valid, dtype=np.intp)] = True

    def all_of(self, values: Numbers) -> bool:
        """Returns whether all values, shape (n,), are valid; a missing value is not."""
        least, greatest = values.min(), values.max()
        if not (least >= 0.0 and greatest < len(self._table)):
            return False
        places = values.astype(np.intp)
        return bool(self._table.take(places).all() and (places == values).all())


def _declared(one: Input) -> _Declared | None:
    """Returns the table of an input's valid values, None if they are not small whole numbers."""
    data = one.data
    if not data.valid or data.intervals or data.invalid or data.missing or one.treatment.outliers != "asIs":
        return None
    if not all(value.is_integer() and 0.0 <= value < _MOST_IN_TABLE for value in data.valid):
        return None
    return _Declared(data.valid)


def _some(places: Rows, masks: npt.NDArray[np.bool_]) -> dict[int, Mask]:
    """Returns the masks that are not empty, by the place of their column."""
    if not masks.any():
        return {}
    return {place: mask for place, mask in zip(places.tolist(), masks.T, strict=True) if mask.any()}


def _reader(data: DataField) -> Callable[[str], float] | None:
    return None if data.kind.is_text or data.kind.is_number else numeric_reader(data.kind.data_type)


def _needs_care(one: Input) -> bool:
    """Whether bounds do not tell if a value needs treatment."""
    data = one.data
    return bool(data.valid or data.invalid or data.missing or len(data.intervals) > 1)


def _columns(inputs: Sequence[Input], data_type: str) -> Rows | None:
    found = [one.field.column for one in inputs if one.data.kind.data_type == data_type]
    return np.array(found, dtype=np.intp) if found else None
