"""The inputs of a few records, in plain Python: faster than numpy when no value needs a closer look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from model_serving.core.engine import Columns
    from model_serving.engines.pmml.evaluator.scope import Field, Program
    from model_serving.engines.pmml.evaluator.symbols import Numbers
    from model_serving.engines.pmml.evaluator.treatment import DataField, Treatment

__all__ = ["Input", "QuickInputs", "bounds_of", "may_change"]


@dataclass(frozen=True, slots=True)
class Input:
    """An input field of the document, with its treatment. ``field.column`` is its place among the inputs."""

    field: Field
    data: DataField
    treatment: Treatment


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


def _is_special(data: DataField) -> bool:
    """Whether neither one range nor a list of values tells which numbers are declared."""
    if data.kind.data_type == "float" and not all(
        one.closed_low and one.closed_high for one in data.intervals
    ):
        return True  # a number next to the end of the range may be rounded onto it
    lists = data.invalid or data.missing or (data.valid and data.intervals)
    return bool(lists) or len(data.intervals) > 1


class QuickInputs:
    """Encodes a few records, and notices when one of their values needs a closer look."""

    def __init__(self, inputs: Sequence[Input], program: Program) -> None:
        self._texts: list[tuple[int, dict[str, float]]] = []
        self._known: list[tuple[int, frozenset[float]]] = []
        self._bounds: list[tuple[int, float, float]] = []
        self._whole: list[int] = []
        singles = [one.field.column for one in inputs if one.data.kind.data_type == "float"]
        self._float = np.array(singles, dtype=np.intp) if singles else None
        self._never = False
        for one in inputs:
            self._add(one, program)

    def values(self, columns: Columns) -> Numbers | None:
        """Returns the values, shape (n, inputs), None when some value is missing, invalid or unknown."""
        if self._never:
            return None
        rows = columns.tolist()
        if not all(self._encode(row) for row in rows):
            return None
        made: Numbers = np.array(rows, dtype=np.float64)
        if self._float is not None:
            made[:, self._float] = made[:, self._float].astype(np.float32)
        return made

    def _encode(self, row: list[Any]) -> bool:
        """Puts the codes of texts into a row. False: some value needs a closer look."""
        for place, codes in self._texts:
            code = codes.get(row[place])
            if code is None:
                return False
            row[place] = code
        for place, known in self._known:
            if row[place] not in known:
                return False
        for place, low, high in self._bounds:
            if not low <= row[place] <= high:
                return False
        return all(row[place].is_integer() for place in self._whole)

    def _add(self, one: Input, program: Program) -> None:
        data, place = one.data, one.field.column
        if data.kind.is_text:
            if data.valid:
                good = {code: program.symbols.texts[int(code)] for code in data.valid}
                self._texts.append((place, {text: code for code, text in good.items()}))
                self._never |= bool(set(data.valid) & {*data.invalid, *data.missing})
            else:
                self._never = True
            return
        if not data.kind.is_number:
            self._never = True
        elif data.kind.data_type == "boolean":
            self._known.append((place, frozenset({0.0, 1.0} & set(data.valid or (0.0, 1.0)))))
        elif _is_special(data):
            self._never = True
        elif data.valid:
            self._known.append((place, frozenset(data.valid)))
            if one.treatment.outliers != "asIs":
                self._bounds.append((place, *bounds_of(one)))
        else:
            # A missing value needs no look if nothing replaces it, but telling that apart costs more.
            if data.kind.data_type == "integer":
                self._whole.append(place)
            if may_change(one):
                self._bounds.append((place, *bounds_of(one)))
