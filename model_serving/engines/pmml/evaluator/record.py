"""One record alone: its values as plain Python floats, which is several times faster than arrays of one.

What computes arrays for a batch (``evaluate``, ``predict``) has a method beside it that computes floats for
a ``Record`` (``one``, ``predict_one``). Of the two only the batch knows every case. Where the plain way meets
one that it does not know (a number that Python refuses), it raises ``Undecided``, and the record is scored as
a batch of one. So a plain way may leave cases out, but it must not decide one in another way than the batch.
Where it computes a value that makes the record fail in the batch too, it raises ``Failed``.

What has no plain way of its own (``ByBatch``) computes a batch of one for itself alone; the fields that it
asks for come from the record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

from model_serving.engines.pmml.evaluator.batch import Batch

if TYPE_CHECKING:
    from collections.abc import Callable

    from model_serving.engines.pmml.evaluator.prediction import ModelNode, Single
    from model_serving.engines.pmml.evaluator.symbols import Numbers, Texts

__all__ = ["UNDECIDED", "ByBatch", "Failed", "Record", "Undecided"]

_Made = TypeVar("_Made")


class Undecided(Exception):
    """Only the batch can tell what becomes of the record."""


class Failed(Undecided):
    """The record fails: it has no result, because a value that it needs cannot be computed.

    A part that only looks whether another part can be computed (``ByBatch``) does not let this pass.
    """


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
            Failed: something cannot be computed.
            Undecided: a field cannot be computed, which need not matter: only the batch can tell.
        """
        batch = self._batch
        if batch is None:
            batch = self._batch = Batch(1, self.texts)
            batch.record = self
            batch.inputs = np.array([self.row])
        # One computation may ask for another. After ``Undecided`` nobody asks the batch again.
        outer, batch.failed = batch.failed, None
        try:
            with np.errstate(all="ignore"):
                made = compute(batch)
        except Failed:
            raise Undecided from None
        if batch.failed is not None:
            raise Failed
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
