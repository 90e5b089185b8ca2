"""One record alone: its values as plain Python floats, which is several times faster than arrays of one.

What computes arrays for a batch (``evaluate``, ``predict``) has a method beside it that computes floats for
a ``Record`` (``one``, ``predict_one``). Of the two only the batch knows every case. Where the plain way meets
one that it does not know (a value that cannot be computed, a number that Python refuses), it raises
``Undecided``, and the record is scored as a batch of one. So a plain way may leave cases out, but it must not
decide one in another way than the batch.

What has no plain way of its own (``ByBatch``, ``prediction.PredictsBatches``) computes a batch of one for
itself alone; the fields that it asks for come from the record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

from model_serving.engines.pmml.evaluator.batch import Batch

if TYPE_CHECKING:
    from collections.abc import Callable

    from model_serving.engines.pmml.evaluator.prediction import ModelNode, Single
    from model_serving.engines.pmml.evaluator.symbols import Numbers, Texts

__all__ = ["UNDECIDED", "ByBatch", "Record", "Undecided"]

_Made = TypeVar("_Made")


class Undecided(Exception):
    """Only the batch can tell what becomes of the record."""


UNDECIDED = (Undecided, ArithmeticError, ValueError)
"""What a plain way may raise. Python's numbers raise where arrays give an infinite number or NaN."""


class Record:
    """A record while it is scored. ``row`` are the values of the inputs after their treatment, NaN: missing.

    ``known`` are the values of derived fields that have been computed, by slot. ``memory`` is what several
    expressions compute together, by what they share.
    """

    __slots__ = ("_batch", "_predictions", "known", "memory", "row", "texts")

    def __init__(self, row: list[float], texts: Texts) -> None:
        self.row = row
        self.texts = texts
        self.known: dict[int, float] = {}
        self.memory: dict[object, list[float]] = {}
        self._predictions: dict[int, Single] = {}
        self._batch: Batch | None = None

    def prediction(self, node: ModelNode) -> Single:
        """Returns what a model predicts; it is asked once."""
        found = self._predictions.get(node.index)
        if found is None:
            found = self._predictions[node.index] = node.predict_one(self)
        return found

    def of_batch(self, compute: Callable[[Batch], _Made]) -> _Made:
        """Returns what is computed of the record as a batch of one.

        Raises:
            Undecided: something cannot be computed.
        """
        batch = self._batch
        if batch is None:
            batch = self._batch = Batch(1, self.texts)
            batch.record = self
            batch.inputs = np.array([self.row])
        # One computation may ask for another. After ``Undecided`` nobody asks the batch again.
        outer, batch.failed = batch.failed, None
        with np.errstate(all="ignore"):
            made = compute(batch)
        if batch.failed is not None:
            raise Undecided
        batch.failed = outer
        return made

    def release(self) -> None:
        """Lets go of the batch, which knows the record: nothing is left for the garbage collector."""
        if self._batch is not None:
            self._batch.record = None


class ByBatch:
    """An expression that has no plain way of its own."""

    __slots__ = ()

    def evaluate(self, batch: Batch) -> Numbers:
        """See ``Expression.evaluate``."""
        raise NotImplementedError

    def one(self, record: Record) -> float:
        """See ``Expression.one``."""
        return float(record.of_batch(self.evaluate)[0])
