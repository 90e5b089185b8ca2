"""The interface that the evaluators of all kinds of models share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from model_serving.engines.pmml.compiled.reading import NotCompiled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from model_serving.engines.pmml.compiled.fields import Numbers
    from model_serving.engines.pmml.compiled.targets import Target

__all__ = ["Evaluation", "Evaluator", "MostProbable"]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Answers for n records.

    ``predicted`` has shape (n,). It holds numbers, with NaN for no number, or indices of classes, with -1 for
    no class. ``rows`` of a classifier has shape (classes + 2, n): the probability of every class in the
    target's order, the probability of the predicted class, and its confidence, with NaN for no value.
    """

    predicted: npt.NDArray[np.generic]
    rows: Numbers | None = None


class Evaluator(Protocol):
    """A compiled model without the treatment of its inputs and outputs."""

    def evaluate(self, values: Numbers) -> Evaluation:
        """Returns the answers for prepared values of shape (n, fields), C-contiguous, NaN for missing."""
        ...


class MostProbable:
    """Predicts the class with the greatest probability.

    If several classes have it, the first one in the order of PMML4S's map is predicted. NaN counts as greater
    than every number.
    """

    def __init__(self, target: Target, inserted: Sequence[int] | None = None) -> None:
        """Creates the predictor; for ``inserted`` see ``Target.order``.

        Raises:
            NotCompiled: not every class is among ``inserted``.
        """
        self._order = np.array(target.order(inserted), dtype=np.intp)
        if sorted(self._order.tolist()) != list(range(len(target.classes or ()))):
            raise NotCompiled("probabilities of only some classes")
        self._as_listed = bool((self._order == np.arange(len(self._order))).all())

    def evaluation(self, probabilities: Numbers) -> Evaluation:
        """Returns the evaluation for probabilities of shape (classes, n), in the target's class order."""
        classes, n = probabilities.shape
        rows = np.empty((classes + 2, n))
        rows[:classes] = probabilities
        rows[classes] = probabilities.max(axis=0)
        rows[classes + 1] = np.nan
        if self._as_listed:
            return Evaluation(probabilities.argmax(axis=0), rows)
        return Evaluation(self._order.take(probabilities.take(self._order, axis=0).argmax(axis=0)), rows)
