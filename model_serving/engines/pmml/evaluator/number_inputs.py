"""The treatment of the numbers of many records (PMML 4.4, MiningSchema), with few calls of numpy."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.quick_inputs import bounds_of, may_change

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from model_serving.engines.pmml.evaluator.batch import Mask, Rows
    from model_serving.engines.pmml.evaluator.quick_inputs import Input
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["BoundedNumbers", "CarefulNumber", "needs_bounds_only"]

_FEW = 64
"""Up to this number of values that need a closer look, plain Python is faster than numpy."""

_MOST_IN_TABLE = 100_000


def needs_bounds_only(one: Input) -> bool:
    """Whether a value is missing, within bounds, or makes its record fail: nothing else becomes of it."""
    treatment = one.treatment
    return not _has_lists(one) and treatment.when_invalid == "returnInvalid" and treatment.outliers == "asIs"


def _has_lists(one: Input) -> bool:
    """Whether bounds do not tell if a value is valid."""
    data = one.data
    return bool(data.valid or data.invalid or data.missing or len(data.intervals) > 1)


class BoundedNumbers:
    """The inputs of which ``needs_bounds_only`` is true: they are compared with their bounds together."""

    def __init__(self, inputs: Sequence[Input]) -> None:
        self._all = frozenset(one.field.column for one in inputs)
        checked = [one for one in inputs if may_change(one)]
        self._columns = np.array([one.field.column for one in checked], dtype=np.intp)
        bounds = [bounds_of(one) for one in checked]
        self._low = np.array([low for low, _ in bounds])
        self._high = np.array([high for _, high in bounds])
        instead = [one.treated(nan) for one in checked]
        self._instead = np.array([nan if value is None else value for value in instead])
        self._replaces = bool((self._instead == self._instead).any())
        self._refuses_missing = np.array([value is None for value in instead], dtype=bool)

    def treat(self, values: Numbers, odd: Mapping[int, Mask], failing: dict[int, Mask]) -> None:
        """Treats ``values``, shape (n, inputs), in place.

        Args:
            values: see above.
            odd: masks of the numbers that no field of the type has, by the place of their column.
            failing: gets a mask of the records that fail, by the place of the column.
        """
        failing.update({place: mask for place, mask in odd.items() if place in self._all})
        if not len(self._columns):
            return
        some = values.take(self._columns, axis=1)
        good = (some >= self._low) & (some <= self._high)
        if good.all():
            return
        missing = np.isnan(some)
        failed = ~(good | missing) | (missing & self._refuses_missing)
        if failed.any():
            for place, mask in zip(self._columns.tolist(), failed.T, strict=True):
                if mask.any():
                    failing[place] = mask if place not in failing else failing[place] | mask
        if self._replaces:
            np.copyto(some, self._instead, where=missing)
            values[:, self._columns] = some


class CarefulNumber:
    """An input whose values are listed, or replaced where they are invalid or outliers."""

    def __init__(self, one: Input) -> None:
        self._input = one
        self._missing = one.treated(nan)
        self._declared = _declared(one)
        self._bounds = None if _has_lists(one) else bounds_of(one)

    def treat(self, values: Numbers, odd: Mapping[int, Mask], failing: dict[int, Mask]) -> None:
        """See ``BoundedNumbers.treat``."""
        place = self._input.field.column
        column = values[:, place]
        strange = odd.get(place)
        good = self._good(column)
        if strange is not None:
            good &= ~strange
        if good.all():
            return
        rows = np.flatnonzero(~good)
        failed = self._treated(column, rows, None if strange is None else strange[rows])
        if failed.any():
            failing[place] = np.zeros(len(values), dtype=bool)
            failing[place][rows[failed]] = True

    def _good(self, column: Numbers) -> Mask:
        """Returns a mask of values that need no treatment; it may leave some of them out."""
        if self._bounds is not None:
            low, high = self._bounds
            good: Mask = (column >= low) & (column <= high)
            return good
        if self._declared is None:
            return np.zeros(len(column), dtype=bool)
        return self._declared.holds(column)

    def _treated(self, column: Numbers, rows: Rows, strange: Mask | None) -> Mask:
        """Treats some of the values in place. Returns a mask of them: those whose records fail."""
        one, some = self._input, column[rows]
        if len(rows) > _FEW:
            column[rows], refused = one.treatment.applied(some, one.data, strange)
            return np.zeros(len(rows), dtype=bool) if refused is None else refused
        present = some.tolist()
        known = {value: one.of_number(value) for value in set(present) if value == value}
        made = [known.get(value, self._missing) for value in present]
        column[rows] = np.array(made, dtype=np.float64)  # None becomes NaN
        return np.array([value is None for value in made])


class _Declared:
    """The valid values of a field as a table, for small whole numbers."""

    def __init__(self, valid: Sequence[float]) -> None:
        self._table = np.zeros(int(max(valid)) + 2, dtype=bool)
        self._table[np.array(valid, dtype=np.intp)] = True

    def holds(self, values: Numbers) -> Mask:
        """Returns a mask of the values, shape (n,), that are valid; a missing value is not."""
        last = len(self._table) - 1
        inside = np.fmin(np.fmax(values, 0.0), last)  # NaN becomes 0
        places = inside.astype(np.intp)
        held: Mask = self._table.take(places) & (places == values)
        return held


def _declared(one: Input) -> _Declared | None:
    """Returns the table of an input's valid values, None if they are not small whole numbers."""
    data = one.data
    if not data.valid or data.intervals or data.invalid or data.missing or one.treatment.outliers != "asIs":
        return None
    if not all(value.is_integer() and 0.0 <= value < _MOST_IN_TABLE for value in data.valid):
        return None
    return _Declared(data.valid)
