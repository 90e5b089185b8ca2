"""The inputs of a few records, in plain Python: faster than numpy where few values need a closer look."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from model_serving.engines.pmml.evaluator.data_types import numeric_reader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from model_serving.core.engine import Columns
    from model_serving.engines.pmml.evaluator.scope import Field, Program
    from model_serving.engines.pmml.evaluator.symbols import Texts
    from model_serving.engines.pmml.evaluator.treatment import DataField, Treatment

__all__ = ["Input", "QuickInputs", "bounds_of", "may_change", "usual_codes"]


@dataclass(frozen=True, slots=True)
class Input:
    """An input field of the document, with its treatment. ``field.column`` is its place among the inputs."""

    field: Field
    data: DataField
    treatment: Treatment

    def treated(self, value: float, *, is_odd: bool = False) -> float | None:
        """Returns the value of one record after the treatment, None where the record fails."""
        return self.treatment.of_one(value, self.data, is_odd=is_odd)


def bounds_of(one: Input) -> tuple[float, float]:
    """Returns the least and greatest number that need no treatment; infinite where there is no limit."""
    low, high = -np.inf, np.inf
    if len(one.data.intervals) == 1:
        (interval,) = one.data.intervals
        low = interval.low if interval.closed_low else float(np.nextafter(interval.low, np.inf))
        high = interval.high if interval.closed_high else float(np.nextafter(interval.high, -np.inf))
    if one.treatment.outliers != "asIs":
        low, high = max(low, one.treatment.low), min(high, one.treatment.high)
    return low, high


def may_change(one: Input) -> bool:
    """Whether some number is changed or refused by the treatment of an input."""
    return not one.treatment.is_default or bool(one.data.intervals)


class QuickInputs:
    """Encodes and treats records one by one.

    Most inputs need a look at one thing only: their code, a range, a list of values. What does not pass it
    goes through the whole treatment.
    """

    def __init__(self, inputs: Sequence[Input], program: Program) -> None:
        self._texts: list[tuple[int, dict[str, float], Input]] = []
        self._moments: list[tuple[int, Callable[[str], float], Input]] = []
        self._known: list[tuple[int, frozenset[float], Input]] = []
        self._bounds: list[tuple[int, float, float, bool, Input]] = []
        numbers = [one.field.column for one in inputs if one.data.kind.is_number]
        self._all_numbers = len(numbers) == len(inputs)
        self._numbers = numbers
        self._singles = [one.field.column for one in inputs if one.data.kind.data_type == "float"]
        self._all_single = len(self._singles) == len(inputs)
        for one in inputs:
            self._add(one, program)

    def rows(self, columns: Columns, texts: Texts) -> list[list[float] | None]:
        """Returns the values of each record, None for one that fails."""
        if self._all_numbers:
            columns = columns.astype(np.float64, copy=False)
        return [self._row(row, texts) for row in columns.tolist()]

    def _row(self, row: list[Any], texts: Texts) -> list[float] | None:
        """Returns the values of a record, None when the record fails by one of them; changes ``row``."""
        if not self._all_numbers:
            self._encode(row, texts)
        if self._all_single:
            row = array("f", row).tolist()
        elif self._singles:
            rounded = array("f", [row[place] for place in self._singles])
            for place, value in zip(self._singles, rounded, strict=True):
                row[place] = value
        for place, known, one in self._known:
            if row[place] not in known:
                row[place] = self._number(row[place], one)
        for place, low, high, is_whole, one in self._bounds:
            value = row[place]
            if not low <= value <= high or (is_whole and not value.is_integer()):
                row[place] = self._number(value, one)
        return None if None in row else row

    def _encode(self, row: list[Any], texts: Texts) -> None:
        """Puts numbers in the place of texts."""
        for place in self._numbers:
            row[place] = float(row[place])
        for place, codes, one in self._texts:
            code = codes.get(row[place])
            row[place] = self._text(row[place], one, texts) if code is None else code
        for place, read, one in self._moments:
            row[place] = _moment(row[place], read, one)

    def _text(self, text: str, one: Input, texts: Texts) -> float | None:
        is_missing = not text and not one.data.has_empty_text
        return one.treated(np.nan if is_missing else texts.code(text))

    def _number(self, value: float, one: Input) -> float | None:
        data_type = one.data.kind.data_type
        is_odd = value == value and (
            (data_type == "integer" and not value.is_integer())
            or (data_type == "boolean" and value not in {0.0, 1.0})
        )
        return one.treated(value, is_odd=is_odd)

    def _add(self, one: Input, program: Program) -> None:
        data, place = one.data, one.field.column
        kind = data.kind
        if kind.is_text:
            self._texts.append((place, usual_codes(data, program), one))
            return
        if not kind.is_number:
            self._moments.append((place, numeric_reader(kind.data_type), one))
            return
        if data.invalid or data.missing or (data.valid and data.intervals) or len(data.intervals) > 1:
            self._known.append((place, frozenset(), one))
        elif kind.data_type == "boolean" or data.valid:
            valid = set(data.valid or (0.0, 1.0))
            if kind.data_type == "boolean":
                valid &= {0.0, 1.0}
            low, high = bounds_of(one)
            self._known.append((place, frozenset(value for value in valid if low <= value <= high), one))
        elif may_change(one) or kind.data_type == "integer":
            self._bounds.append((place, *bounds_of(one), kind.data_type == "integer", one))


def usual_codes(data: DataField, program: Program) -> dict[str, float]:
    """Returns the codes of texts that need no treatment."""
    symbols = program.symbols
    if data.invalid or data.missing:
        return {}
    if data.valid:
        return {symbols.texts[int(code)]: code for code in data.valid}
    return symbols.codes if "" not in symbols.codes else {}


def _moment(text: str, read: Callable[[str], float], one: Input) -> float | None:
    """Returns a date or time as a number; what spells none makes the record fail or counts as missing."""
    if not text:
        return one.treated(np.nan)
    try:
        return one.treated(read(text))
    except ValueError:
        return one.treated(0.0, is_odd=True)
