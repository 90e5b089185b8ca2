"""The inputs of a few records, in plain Python: faster than numpy where few values need a closer look."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np

from model_serving.engines.pmml.evaluator.data_types import numeric_reader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from model_serving.core.engine import Columns
    from model_serving.engines.pmml.evaluator.scope import Field, Program
    from model_serving.engines.pmml.evaluator.symbols import Texts
    from model_serving.engines.pmml.evaluator.treatment import DataField, Treatment

__all__ = ["Input", "QuickInputs", "UsualCodes", "bounds_of", "may_change"]


@dataclass(frozen=True, slots=True)
class Input:
    """An input field of the document, with its treatment. ``field.column`` is its place among the inputs."""

    field: Field
    data: DataField
    treatment: Treatment

    def treated(self, value: float, *, is_odd: bool = False) -> float | None:
        """Returns the value of one record after the treatment, None where the record fails."""
        return self.treatment.of_one(value, self.data, is_odd=is_odd)

    def of_number(self, value: float) -> float | None:
        """Returns a number that a record brings after the treatment, None where the record fails."""
        data_type = self.data.kind.data_type
        is_odd = value == value and (
            (data_type == "integer" and not value.is_integer())
            or (data_type == "boolean" and value not in {0.0, 1.0})
        )
        return self.treated(value, is_odd=is_odd)

    def of_text(self, text: str, texts: Texts) -> float | None:
        """Returns a text that a record brings as a value after the treatment, None where the record fails.

        A text that does not spell a value of the field's type is invalid.
        """
        if not text and not self.data.has_empty_text:
            return self.treated(nan)
        kind = self.data.kind
        if kind.is_text:
            return self.treated(texts.code(text))
        try:
            return self.treated(numeric_reader(kind.data_type)(text))
        except ValueError:
            return self.treated(0.0, is_odd=True)


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
        self._known: list[tuple[int, frozenset[float], Input]] = []
        self._bounds: list[tuple[int, float, float, bool, Input]] = []
        numbers = [one.field.column for one in inputs if one.data.kind.is_number]
        self._all_numbers = len(numbers) == len(inputs)
        self._numbers = numbers
        self._singles = [one.field.column for one in inputs if one.data.kind.data_type == "float"]
        self._all_single = len(self._singles) == len(inputs)
        codes = UsualCodes(program)
        for one in inputs:
            self._add(one, codes)

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
                row[place] = one.of_number(row[place])
        for place, low, high, is_whole, one in self._bounds:
            value = row[place]
            if not low <= value <= high or (is_whole and not value.is_integer()):
                row[place] = one.of_number(value)
        return None if None in row else row

    def _encode(self, row: list[Any], texts: Texts) -> None:
        """Puts numbers in the place of texts."""
        for place in self._numbers:
            row[place] = float(row[place])
        for place, codes, one in self._texts:
            code = codes.get(row[place])
            row[place] = one.of_text(row[place], texts) if code is None else code

    def _add(self, one: Input, codes: UsualCodes) -> None:
        data, place = one.data, one.field.column
        kind = data.kind
        if not kind.is_number:
            self._texts.append((place, codes.of(one), one))
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


class UsualCodes:
    """Finds the values of the texts that an input meets most, after its treatment. Inputs may share them."""

    def __init__(self, program: Program) -> None:
        self._symbols = program.symbols
        self._of_all: dict[float | None, dict[str, float]] = {}

    def of(self, one: Input) -> dict[str, float]:
        """Returns the values of an input by text; ``Input.of_text`` gives those of other texts."""
        data = one.data
        if not data.kind.is_text:
            return {}
        missing = None if data.has_empty_text else one.treated(nan)
        if not (data.valid or data.invalid or data.missing or one.treatment.outliers != "asIs"):
            return self._all(missing)
        spelled = self._symbols.texts
        found = {spelled[int(code)]: one.treated(code) for code in (*data.valid, *data.missing)}
        found[""] = found.get("") if data.has_empty_text else missing
        return {text: value for text, value in found.items() if value is not None}

    def _all(self, missing: float | None) -> dict[str, float]:
        """Returns the codes of all texts that the document names, and the value of a missing text."""
        key = None if missing is None or missing != missing else missing
        has_missing = missing is not None
        known = self._of_all.get(key) if has_missing else None
        if known is None:
            known = dict(self._symbols.codes)
            known.pop("", None)
            if missing is not None:
                known[""] = missing
                self._of_all[key] = known
        return known
