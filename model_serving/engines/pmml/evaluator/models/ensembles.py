"""Ensembles: the first segment that a record belongs to, or the combined predictions of all its segments."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.data_types import DOUBLE, STRING, Kind
from model_serving.engines.pmml.evaluator.models.segments import (
    Segment,
    Translation,
    complete,
    complete_one,
    has_probabilities,
    merged,
    nodes_by_id,
)
from model_serving.engines.pmml.evaluator.predicates import ALWAYS
from model_serving.engines.pmml.evaluator.prediction import Prediction, Single
from model_serving.engines.pmml.evaluator.reading import Unsupported

if TYPE_CHECKING:
    from collections.abc import Sequence

    from model_serving.engines.pmml.evaluator.batch import Batch, Mask
    from model_serving.engines.pmml.evaluator.models.combination import Combination
    from model_serving.engines.pmml.evaluator.prediction import ModelContext
    from model_serving.engines.pmml.evaluator.record import Record

__all__ = ["Ensemble", "FirstSegment", "classes_together", "outer_kind"]


def outer_kind(segments: Sequence[Segment], context: ModelContext) -> Kind:
    """Returns the type of the outer model's prediction: the target's, else that of the segments."""
    kind = context.target.kind if context.target.name else segments[-1].node.predictor.kind
    if context.classifies:
        return kind
    if context.function == "clustering":
        return STRING
    return kind if kind.is_number or context.function != "regression" else DOUBLE


def classes_together(translations: Sequence[Translation], context: ModelContext) -> tuple[float, ...]:
    """Returns the classes of several models: in the order of the target, then as the models name them.

    A class that the target declares and no model names is left out.
    """
    named = dict.fromkeys(value for one in translations for value in one.classes)
    first = [value for value in context.target.values if value in named]
    return tuple(dict.fromkeys((*first, *named)))


class _Segmented:
    """What models with segments have in common."""

    def __init__(self, segments: Sequence[Segment], context: ModelContext) -> None:
        self.kind = outer_kind(segments, context)
        target = context.target if context.target.kind == self.kind else context.target.of_kind(self.kind)
        self._translations = [Translation(one.node, target) for one in segments]
        self._members = list(segments)
        self.classes: tuple[float, ...] = ()
        if context.classifies:
            self.classes = classes_together(self._translations, context)
        self.entities = tuple(dict.fromkeys(name for one in segments for name in one.node.predictor.entities))
        self.segments = nodes_by_id(segments, context)
        self.has_probabilities = has_probabilities(segments)


class FirstSegment(_Segmented):
    """The prediction of the first segment that a record belongs to (``selectFirst``)."""

    def predict(self, batch: Batch) -> Prediction:
        """See ``Predictor.predict``."""
        parts: list[tuple[Mask | None, Prediction]] = []
        left: Mask | None = None
        for segment, translation in zip(self._members, self._translations, strict=True):
            with batch.aside():
                taken = segment.taken(batch)
                failed = batch.failed
            if failed is not None:  # of the records that an earlier segment has taken, nobody asks
                batch.fail(failed if left is None else failed & left)
            if left is not None:
                taken = left if taken is None else taken & left
            if taken is not None and not taken.any():
                continue
            found = translation.translated(segment.predict(batch, taken), self.classes)
            parts.append((taken, found))
            if taken is None:
                break
            left = ~taken if left is None else left & ~taken
            if not left.any():
                break
        found = merged(parts, batch.n)
        return complete(found, self.classes if self.has_probabilities else ())

    def predict_one(self, record: Record) -> Single:
        """See ``Predictor.predict_one``."""
        found = Single(np.nan)
        for segment, translation in zip(self._members, self._translations, strict=True):
            if segment.takes(record):
                found = translation.translated_one(record.prediction(segment.node), self.classes)
                break
        return complete_one(found, self.classes if self.has_probabilities else ())


class Ensemble(_Segmented):
    """The predictions of all segments that a record belongs to, combined."""

    def __init__(self, segments: Sequence[Segment], context: ModelContext, combination: Combination) -> None:
        """Creates the ensemble.

        Raises:
            Unsupported: the models of a clustering have no ids of clusters.
        """
        super().__init__(segments, context)
        self._combination = combination
        self._function = context.function
        self._conditional = any(one.predicate is not ALWAYS for one in segments)
        self._voted = self.classes
        if self._function == "clustering":
            self._voted = tuple(context.program.symbols.code(one) for one in self.entities)
            if not self._voted:
                raise Unsupported("a vote of clusterings of which the clusters have no ids")

    def predict(self, batch: Batch) -> Prediction:
        """See ``Predictor.predict``."""
        masks = [one.taken(batch) for one in self._members]
        found = [one.predict(batch, mask) for one, mask in zip(self._members, masks, strict=True)]
        taken: Mask | None = None
        if any(mask is not None for mask in masks):
            taken = np.array([np.ones(batch.n, dtype=bool) if mask is None else mask for mask in masks])
        values = np.array(
            [one.values(prediction.value) for one, prediction in zip(self._translations, found, strict=True)]
        )
        combination = self._combination
        if self._function == "regression":
            return Prediction(combination.numbers(values, taken))
        if combination.method in {"majorityVote", "weightedMajorityVote"}:
            indices = np.full(values.shape, -1, dtype=np.intp)
            for place, value in enumerate(self._voted):
                indices[values == value] = place
            made = combination.votes(indices, self._voted, taken)
            return made if self.classes else Prediction(made.value, entities=made.value[None, :])
        shares = np.array(
            [
                one.shares(prediction, self.classes)
                for one, prediction in zip(self._translations, found, strict=True)
            ]
        )
        return combination.shares(values, lambda place: shares[:, place], self.classes, taken)

    def predict_one(self, record: Record) -> Single:
        """See ``Predictor.predict_one``."""
        if self._function == "clustering":
            return Single.of(record.of_batch(self.predict))
        combination, pairs = self._combination, list(zip(self._members, self._translations, strict=True))
        if self._conditional:
            taken = [place for place, one in enumerate(self._members) if one.takes(record)]
            if len(taken) < len(pairs):
                if not taken:
                    return Single(nan, [nan] * len(self.classes) if self.classes else None)
                combination, pairs = combination.of_models(taken), [pairs[place] for place in taken]
        found = [(record.prediction(one.node), translation) for one, translation in pairs]
        values = [translation.value_of_one(one.value) for one, translation in found]
        if self._function == "regression":
            return Single(combination.number_of_one(values))
        if combination.method in {"majorityVote", "weightedMajorityVote"}:
            voted = self._voted
            places = [voted.index(value) if value in voted else -1 for value in values]
            return combination.votes_of_one(places, voted)
        shares = np.array([translation.shares_of_one(one, self.classes) for one, translation in found])
        return combination.shares_of_one(np.array(values), shares, self.classes)
