"""Notes of small batches, of which there are many a second: as few objects as can be, counted all at once."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from model_serving.core.batches import ScoredBatch
from model_serving.core.engine import Columns

__all__ = ["FewRecords"]

_Value = TypeVar("_Value")


class FewRecords:
    """Notes of small batches: three numbers a record, one after the other, and their labels and fields.

    Threads may add while another one takes. Each step on a list is one that no other thread can come between.
    """

    __slots__ = ("_is_noted", "_labels", "_numbers", "_rows")

    def __init__(self) -> None:
        self._numbers: list[float] = []
        self._labels: list[str] = []
        self._rows: list[Columns] = []
        self._is_noted = False

    def add(self, batch: ScoredBatch, rows: Columns | None) -> bool:
        """Notes a batch. Returns whether somebody has to be told that there is something to take."""
        served, each_ns = batch.served_ts, batch.scoring_ns
        instants, results = batch.submission_ts.tolist(), batch.scores.result.tolist()
        if len(results) == 1:
            numbers = [served - instants[0], results[0], each_ns]
        else:
            numbers = [
                number
                for instant, result in zip(instants, results, strict=True)
                for number in (served - instant, result, each_ns)
            ]
        if batch.scores.labels is not None:
            self._labels.extend(batch.scores.labels)
        if rows is not None:
            self._rows.append(rows)
        self._numbers.extend(numbers)
        # After the numbers, see `take`.
        if self._is_noted:
            return False
        self._is_noted = True
        return True

    def take(self) -> tuple[npt.NDArray[np.float64], list[str], list[Columns]]:
        """Takes what was noted: an array of n × 3, labels, and rows whose fields are looked at.

        The three numbers are the latency in milliseconds, the result, and the nanoseconds in the model. What
        is added from now on is told again.
        """
        self._is_noted = False
        numbers = _taken(self._numbers)
        return np.array(numbers, np.float64).reshape(-1, 3), _taken(self._labels), _taken(self._rows)


def _taken(values: list[_Value]) -> list[_Value]:
    """Takes what is in a list now; another thread may add to its end."""
    count = len(values)
    taken = values[:count]
    del values[:count]
    return taken
