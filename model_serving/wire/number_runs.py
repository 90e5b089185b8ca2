"""Reads number fields of a fixed length from a table of messages, several fields with one call of numpy.

Most messages have their numbers one after the other: the same type, and the same distance from each value to
the next. Such a run is a two-dimensional array within the bytes of the table. To read it costs as much as to
read one field of it, and where few messages are read at once, the number of calls is what reading costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["FixedNumber", "NumberRun", "number_runs"]


@dataclass(frozen=True, slots=True)
class FixedNumber:
    """A number field of a fixed length: its column, where its value begins in the message, its dtype."""

    column: int
    start: int
    dtype: str


@dataclass(frozen=True, slots=True)
class NumberRun:
    """Fields in columns from ``column`` on; their values begin at ``start`` and each ``step`` bytes later."""

    column: int
    count: int
    start: int
    step: int
    dtype: str

    def read(self, table: npt.NDArray[np.uint8], numbers: npt.NDArray[np.float64]) -> None:
        """Writes the values of m messages into their columns of ``numbers``.

        Args:
            table: m messages × their length in bytes, in one piece of memory.
            numbers: m × all columns.
        """
        values: npt.NDArray[np.generic] = np.ndarray(
            (len(table), self.count),
            dtype=self.dtype,
            buffer=table,
            offset=self.start,
            strides=(table.shape[1], self.step),
        )
        numbers[:, self.column : self.column + self.count] = values


def number_runs(fields: Sequence[FixedNumber]) -> tuple[NumberRun, ...]:
    """The fields, in ascending order of their columns, as the fewest runs from the first one on."""
    runs: list[NumberRun] = []
    for field in fields:
        run = runs[-1] if runs else None
        if run is not None and run.dtype == field.dtype and run.column + run.count == field.column:
            step = field.start - run.start if run.count == 1 else run.step
            if field.start == run.start + run.count * step:
                runs[-1] = NumberRun(run.column, run.count + 1, run.start, step, run.dtype)
                continue
        runs.append(NumberRun(field.column, 1, field.start, 0, field.dtype))
    return tuple(runs)
