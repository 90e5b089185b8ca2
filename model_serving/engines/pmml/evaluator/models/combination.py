"""How the predictions of several models become one (PMML 4.4: Multiple Models, multipleModelMethod).

Values have the shape (models, n). NaN is a missing prediction. ``taken`` masks the models whose segment a
record belongs to, of the same shape; None means all. A model that is not taken counts nowhere, whereas a
missing prediction is treated as ``missingPredictionTreatment`` says.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from itertools import accumulate
from math import isfinite, isnan, nan
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from model_serving.engines.pmml.evaluator.prediction import Prediction, Single, winner, winner_of_one

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from model_serving.engines.pmml.evaluator.batch import Mask
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["Combination"]

_IN_ORDER = frozenset({"max", "median", "weightedMedian"})
"""The methods that choose among the numbers by their order."""

_Terms = npt.NDArray[np.floating[Any]]
_Places = npt.NDArray[np.signedinteger[Any]]


@dataclass(frozen=True, slots=True)
class Combination:
    """A method, the weights of the models (shape (models,)), and the treatment of missing predictions.

    ``single``: sums are made of 32-bit numbers. Sums are always made in the order of the models.
    """

    method: str
    weights: Numbers
    when_missing: str = "continue"
    threshold: float = 1.0
    single: bool = False

    def numbers(self, values: Numbers, taken: Mask | None = None) -> Numbers:
        """Returns the combined number of each record, shape (n,)."""
        missing = np.isnan(values)
        if taken is None and not missing.any():
            return self._of_numbers(values, None)
        counted = ~missing if taken is None else taken & ~missing
        made = self._of_numbers(np.where(counted, values, np.nan), counted)
        made[self._without_result(missing, taken, any_counts=True)] = np.nan
        return made

    def number_of_one(self, values: list[float]) -> float:
        """Returns the combined number of one record alone, of which every model is taken."""
        made = self._sum_of_singles(values) if self.single else self._of_floats(values)
        if made is not None:
            return made
        if self.when_missing != "skipSegment" and any(map(isnan, values)):
            return nan
        with np.errstate(all="ignore"):
            return float(self.numbers(np.array(values)[:, None])[0])

    def of_models(self, places: Sequence[int]) -> Combination:
        """Returns the same for some of the models."""
        return replace(self, weights=self.weights.take(places))

    def shares(
        self,
        values: Numbers,
        rows: Callable[[int], Numbers],
        classes: tuple[float, ...],
        taken: Mask | None = None,
    ) -> Prediction:
        """Returns the class with the greatest combined probability, and the probabilities.

        Args:
            values: the class that each model predicts.
            rows: gives the probabilities of the class with this place, shape (models, n).
            classes: the values of the classes.
            taken: see the module.
        """
        missing = np.isnan(values)
        counted: Mask | None = None
        if taken is not None or missing.any():
            counted = ~missing if taken is None else taken & ~missing
        if self.method in {"median", "max"}:
            probabilities = self._of_contributors(
                np.array([rows(place) for place in range(len(classes))]), counted
            )
        else:
            probabilities = np.array(
                [self._of_numbers(_only(rows(place), counted), counted) for place in range(len(classes))]
            )
        if counted is not None:
            probabilities[:, self._without_result(missing, taken, any_counts=True)] = np.nan
        return Prediction(winner(probabilities, classes), probabilities)

    def shares_of_one(
        self, values: Numbers, shares: Numbers, classes: tuple[float, ...], taken: Mask | None = None
    ) -> Single:
        """Does the same as ``shares`` for one record alone.

        Args:
            values: the class that each model predicts, shape (models,).
            shares: the probabilities, shape (models, classes).
            classes: the values of the classes.
            taken: see the module; of shape (models,).
        """
        total = np.add.reduce(values)
        if total != total and taken is None and self.when_missing != "skipSegment":
            return Single(nan, [nan] * len(classes))
        if self.method in {"median", "max"} or taken is not None or total != total:
            masks = None if taken is None else taken[:, None]
            with np.errstate(all="ignore"):
                found = self.shares(values[:, None], lambda place: shares[:, place, None], classes, masks)
            return Single.of(found)
        # The classes take the place of the records: each has a number of every model.
        probabilities = self._of_numbers(shares, None).tolist()
        return Single(winner_of_one(probabilities, classes), probabilities)

    def votes(
        self,
        indices: npt.NDArray[np.signedinteger[Any]],
        classes: tuple[float, ...],
        taken: Mask | None = None,
    ) -> Prediction:
        """Returns the class with the most votes, and the shares of the votes as probabilities.

        On ties the class wins that the first of the models votes for.

        Args:
            indices: the place of the class that each model votes for, whole numbers; -1 for none.
            classes: the values of the classes.
            taken: see the module.
        """
        missing = indices < 0
        if taken is not None:
            indices = np.where(taken, indices, -1)
        votes = self._counted(indices, len(classes))
        total = votes.sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            probabilities = votes / total
        value = self._elected(indices, votes, classes)
        if taken is not None or missing.any():
            nothing = self._without_result(missing, taken, any_counts=False)
            if self.when_missing == "continue":
                # A missing prediction is a vote too, for no result.
                cast = missing if taken is None else missing & taken
                nothing |= self._weighed(cast) > votes.max(axis=0)
            value[nothing] = np.nan
            probabilities[:, nothing] = np.nan
        return Prediction(value, probabilities)

    def votes_of_one(self, places: list[int], classes: tuple[float, ...]) -> Single:
        """Does the same as ``votes`` for one record alone, of which every model is taken."""
        votes = [0.0] * (len(classes) + 1)  # the last one is for none, at the place -1
        weights = [1.0] * len(places) if self.method == "majorityVote" else self.weights.tolist()
        for place, weight in zip(places, weights, strict=True):
            votes[place] += weight
        lacking = votes.pop()
        most = max(votes)
        if not most > 0.0 or (-1 in places and self._loses_votes(lacking, most, sum(weights))):
            return Single(nan, [nan] * len(classes))
        elected = votes.index(most) if votes.count(most) == 1 else next(p for p in places if votes[p] == most)
        total = sum(votes)
        return Single(classes[elected], [one / total for one in votes])

    def _loses_votes(self, lacking: float, most: float, whole: float) -> bool:
        """Whether one record has no result because of the weight of the models that vote for no class.

        Args:
            lacking: this weight.
            most: the weight of the class with the most votes.
            whole: the weight of all models.
        """
        if self.when_missing == "returnMissing":
            return True
        if self.when_missing == "continue" and lacking > most:
            return True
        return lacking / whole > self.threshold

    def _counted(self, indices: _Places, classes: int) -> Numbers:
        """Returns the votes for each class, shape (classes, n)."""
        n = indices.shape[1]
        # One number for each class and record, in which the votes for no class come first.
        boxes = (indices + np.intp(1)) * n + np.arange(n)
        weights = None if self.method == "majorityVote" else np.repeat(self.weights, n)
        votes = np.bincount(boxes.reshape(-1), weights, minlength=(classes + 1) * n)
        return votes[n:].reshape(classes, n).astype(np.float64, copy=False)

    def _elected(self, indices: _Places, votes: Numbers, classes: tuple[float, ...]) -> Numbers:
        most = votes.max(axis=0)
        value: Numbers = np.array(classes).take(votes.argmax(axis=0))
        value[~(most > 0.0)] = np.nan
        tied = votes == most
        rows = np.flatnonzero((tied.sum(axis=0) > 1) & (most > 0.0))
        if len(rows):
            cast = indices[:, rows]
            is_for_tied = tied[cast, rows] & (cast >= 0)
            value[rows] = np.array(classes)[cast[is_for_tied.argmax(axis=0), np.arange(len(rows))]]
        return value

    def _without_result(self, missing: Mask, taken: Mask | None, *, any_counts: bool) -> Mask:
        """Returns the records that have no result, because of missing predictions or of no segment."""
        lacking = missing if taken is None else missing & taken
        nothing: Mask = np.zeros(missing.shape[1], dtype=bool) if taken is None else ~taken.any(axis=0)
        if self.when_missing == "returnMissing" or (self.when_missing == "continue" and any_counts):
            nothing |= lacking.any(axis=0)
            return nothing
        whole = self._weighed(np.ones_like(missing) if taken is None else taken)
        with np.errstate(invalid="ignore", divide="ignore"):
            nothing |= self._weighed(lacking) / whole > self.threshold
        everything = lacking if taken is None else lacking | ~taken
        nothing |= everything.all(axis=0)
        return nothing

    def _weighed(self, counted: Mask) -> Numbers:
        """Returns the weight of the models that count, shape (n,); their number if the method has none."""
        weights = self.weights[:, None] if self.method.startswith("weighted") else 1.0
        made: Numbers = _sum(np.where(counted, weights, 0.0))
        return made

    def _of_floats(self, values: list[float]) -> float | None:
        """Returns the combined number of one record, None where predictions are missing or it is not simple.

        It is never NaN.
        """
        if self.method in _IN_ORDER:
            return None if any(map(isnan, values)) else self._of_ordered(values)
        weights = self.weights.tolist() if self.method.startswith("weighted") else None
        total = 0.0
        if weights is None:
            for value in values:
                total += value
        else:
            for value, weight in zip(values, weights, strict=True):
                total += value * weight
        if total != total:
            return None
        if self.method == "average":
            return total / len(values)
        if self.method == "weightedAverage":
            whole = 0.0
            for weight in weights or ():
                whole += weight
            return total / whole if whole else None
        return total

    def _of_ordered(self, values: list[float]) -> float:
        """Returns the greatest number or a median of numbers that are not missing."""
        if self.method == "max":
            return max(values)
        if self.method == "median":
            ordered, half = sorted(values), len(values) // 2
            return (ordered[half] + ordered[half - (len(values) % 2 == 0)]) / 2.0
        pairs = sorted(zip(values, self.weights.tolist(), strict=True), key=itemgetter(0))
        sums = list(accumulate(weight for _, weight in pairs))
        return pairs[bisect_left(sums, 0.5 * sums[-1])][0]

    def _sum_of_singles(self, values: list[float]) -> float | None:
        """Does the same for sums of 32-bit numbers."""
        if self.method not in {"sum", "average"}:
            return None
        total = np.array(values, dtype=np.float32).cumsum()[-1]
        made = float(total if self.method == "sum" else total / np.float32(len(values)))
        return made if isfinite(made) else None

    def _of_numbers(self, values: Numbers, counted: Mask | None) -> Numbers:
        method = self.method
        if method == "median":
            return _median(values)
        if method == "max":
            greatest: Numbers = np.fmax.reduce(values, axis=0)
            return greatest
        if method == "weightedMedian":
            return self._weighted_median(values)
        if counted is not None:
            values = np.where(counted, values, 0.0)
        kind: Any = np.float32 if self.single else np.float64
        terms: _Terms = values.astype(kind, copy=False)
        weighted = method.startswith("weighted")
        if weighted:
            terms = terms * self.weights.astype(kind)[:, None]
        total: _Terms = _sum(terms)
        if method in {"average", "weightedAverage"}:
            if counted is None:
                counted = np.ones((len(values), 1), dtype=bool)
            whole = self._weighed(counted)
            with np.errstate(invalid="ignore", divide="ignore"):
                total = total / whole.astype(kind)
        made: Numbers = total.astype(np.float64, copy=False)
        return made

    def _weighted_median(self, values: Numbers) -> Numbers:
        """The least value up to which the models have at least half of the weight."""
        order = values.argsort(axis=0, kind="stable")
        ordered = np.take_along_axis(values, order, axis=0)
        weights = np.where(np.isnan(ordered), 0.0, self.weights[order])
        sums = weights.cumsum(axis=0)
        places = (sums >= 0.5 * sums[-1]).argmax(axis=0)
        middle: Numbers = np.take_along_axis(ordered, places[None, :], axis=0)[0]
        return middle

    def _of_contributors(self, shares: Numbers, counted: Mask | None) -> Numbers:
        """For ``median`` and ``max``: the mean of the models that give the winner its median or maximum.

        Args:
            shares: shape (classes, models, n).
            counted: the models that count, of shape (models, n); None for all.
        """
        if counted is not None:
            shares = np.where(counted, shares, np.nan)
        best = np.fmax.reduce(shares, axis=1) if self.method == "max" else _median(shares, axis=1)
        won = np.where(np.isnan(best), -1.0, best).argmax(axis=0)
        of_winner = np.take_along_axis(shares, won[None, None, :], axis=0)[0]
        if self.method == "max":
            chosen = of_winner == np.fmax.reduce(of_winner, axis=0)
        else:
            ordered = np.sort(of_winner, axis=0)
            known = (~np.isnan(of_winner)).sum(axis=0)
            low = np.take_along_axis(ordered, (np.maximum(known - 1, 0) // 2)[None, :], axis=0)
            high = np.take_along_axis(ordered, np.minimum(known // 2, len(ordered) - 1)[None, :], axis=0)
            chosen = (of_winner == low) | (of_winner == high)
        with np.errstate(invalid="ignore", divide="ignore"):
            made: Numbers = np.where(chosen, shares, 0.0).sum(axis=1) / chosen.sum(axis=0)
        return made


def _only(values: Numbers, counted: Mask | None) -> Numbers:
    return values if counted is None else np.where(counted, values, np.nan)


def _sum(terms: _Terms) -> Any:
    """Adds the rows one after the other, so that one record alone gets the same sum as in a batch."""
    if terms.shape[1] == 1:
        return terms.cumsum(axis=0, dtype=terms.dtype)[-1]
    return np.add.reduce(terms, axis=0)


def _median(values: Numbers, axis: int = 0) -> Numbers:
    """The median of the numbers that are not NaN: the mean of the two in the middle of an even number."""
    ordered = np.sort(values, axis=axis)  # NaN comes last
    known = (~np.isnan(values)).sum(axis=axis, keepdims=True)
    low = np.take_along_axis(ordered, np.maximum(known - 1, 0) // 2, axis=axis)
    high = np.take_along_axis(ordered, np.maximum(np.minimum(known // 2, known - 1), 0), axis=axis)
    middle: Numbers = (low + high).squeeze(axis) / 2.0
    return middle
