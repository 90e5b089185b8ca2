"""Ensembles of which all segments are trees: one walk for all of them, and tables for their answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from model_serving.engines.pmml.evaluator.models.segments import segment_parts
from model_serving.engines.pmml.evaluator.models.tree_nodes import kind_of
from model_serving.engines.pmml.evaluator.models.trees import TreeGraph, is_plain
from model_serving.engines.pmml.evaluator.prediction import (
    Prediction,
    Single,
    WithoutEntities,
    winner,
    winner_of_one,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.batch import Batch
    from model_serving.engines.pmml.evaluator.data_types import Kind
    from model_serving.engines.pmml.evaluator.models.combination import Combination
    from model_serving.engines.pmml.evaluator.models.walk import Walk
    from model_serving.engines.pmml.evaluator.prediction import ModelContext
    from model_serving.engines.pmml.evaluator.record import Record
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["Forest", "compile_forest"]

Indices = npt.NDArray[np.signedinteger[Any]]

_MOST_SHARES = 1 << 18
"""The greatest number of probabilities that are added up at once: they should stay in a cache."""

_ADDED = frozenset({"sum", "average", "weightedSum", "weightedAverage"})
_OWN_PARTS = frozenset({"Output", "Targets"})


def compile_forest(
    element: Element, parts: Sequence[Element], context: ModelContext, combination: Combination
) -> Forest | None:
    """Reads an ensemble of plain trees.

    Args:
        element: the MiningModel.
        parts: its Segment elements.
        context: that of the MiningModel.
        combination: how the predictions are combined, with the weights still to be set.

    Returns:
        The forest, or None when some segment is not a plain tree without outputs and targets of its own.

    Raises:
        Unsupported: a part of a tree is not known.
    """
    if context.function not in {"regression", "classification"} or _asks_segments(element):
        return None
    weights, trees = [], []
    for place, part in enumerate(parts, 1):
        _, weight, _, tree = segment_parts(part, place)
        if not _is_always(part) or not _joins(tree, context):
            return None
        weights.append(weight)
        trees.append(tree)
    graph = TreeGraph(context, keeps_ids=False)
    for tree in trees:
        graph.add(tree, context.scope_of(tree, context.scope))
    ends = graph.ends
    classes = ends.classes
    shares = _certain(ends.shares(classes), ends.scores, classes)
    walk = graph.walk()
    return Forest(
        kind_of(context),
        classes,
        walk,
        replace(combination, weights=np.array(weights)),
        ends.scores,
        shares,
        _elected(ends.scores, classes),
        _by_end(shares, ends.scores, combination) if classes else None,
    )


@dataclass(frozen=True, slots=True)
class Forest(WithoutEntities):
    """Implements ``Predictor`` for many trees. The tables have one column for each end of the walk."""

    kind: Kind
    classes: tuple[float, ...]
    walk: Walk
    combination: Combination
    scores: Numbers
    shares: Numbers
    elected: Indices
    """The place of each end's class among the classes, -1 for none."""

    table: Numbers | None = None
    """``shares`` by end, shape (ends, classes), NaN without a prediction; None if they are not added up."""

    def predict(self, batch: Batch) -> Prediction:
        """See ``Predictor.predict``."""
        combination, classes = self.combination, self.classes
        ends = self.walk.leaves(batch)
        if not classes:
            return Prediction(combination.numbers(self.scores.take(ends)))
        if combination.method.endswith("ajorityVote"):
            return combination.votes(self.elected.take(ends), classes)
        if self.table is not None:
            averaged = self._averaged(ends, self.table)
            if averaged is not None:
                return averaged
        values = self.scores.take(ends)
        return combination.shares(values, lambda place: self.shares[place].take(ends), classes)

    def predict_one(self, record: Record) -> Single:
        """See ``Predictor.predict_one``."""
        combination, classes = self.combination, self.classes
        ends = self.walk.leaves_of_one(record)
        if not classes:
            return Single(combination.number_of_one(self.scores.take(ends).tolist()))
        if combination.method.endswith("ajorityVote"):
            return combination.votes_of_one(self.elected.take(ends).tolist(), classes)
        if self.table is not None and len(classes) > 1:
            averaged = self._averaged_of_one(ends, self.table)
            if averaged is not None:
                return averaged
        return combination.shares_of_one(self.scores.take(ends), self.shares.take(ends, axis=1).T, classes)

    def _averaged_of_one(self, ends: list[int], table: Numbers) -> Single | None:
        """Does the same as ``_averaged`` for one record alone."""
        combination = self.combination
        said = table.take(ends, axis=0)
        if combination.method.startswith("weighted"):
            said *= combination.weights[:, None]
        total: list[float] = np.add.reduce(said, axis=0).tolist()
        if isnan(sum(total)):
            return None
        if combination.method in {"average", "weightedAverage"}:
            whole = len(ends) if combination.method == "average" else _in_order(combination.weights)
            total = [share / whole for share in total]
        return Single(winner_of_one(total, self.classes), total)

    def _averaged(self, ends: Indices, table: Numbers) -> Prediction | None:
        """Does the same as ``Combination.shares``, None where some tree is without a prediction."""
        combination = self.combination
        trees, n = ends.shape
        total = np.empty((n, len(self.classes)))
        at_once = max(1, _MOST_SHARES // (trees * len(self.classes)))
        for first in range(0, n, at_once):
            said = table.take(ends[:, first : first + at_once], axis=0)
            if combination.method.startswith("weighted"):
                said *= combination.weights[:, None, None]
            # Tree by tree, in their order, as for one record.
            np.add.reduce(said, axis=0, out=total[first : first + at_once])
        if np.isnan(total).any():
            return None
        if combination.method == "average":
            total /= trees
        elif combination.method == "weightedAverage":
            total /= _in_order(combination.weights)
        probabilities = np.ascontiguousarray(total.T)
        return Prediction(winner(probabilities, self.classes), probabilities)


def _in_order(weights: Numbers) -> float:
    return float(weights.cumsum()[-1])


def _by_end(shares: Numbers, scores: Numbers, combination: Combination) -> Numbers | None:
    """Returns the probabilities by end, NaN without a prediction; None if they are not simply added up."""
    if combination.single or combination.method not in _ADDED:
        return None
    return np.ascontiguousarray(np.where(np.isnan(scores), np.nan, shares).T)


def _certain(shares: Numbers | None, scores: Numbers, classes: tuple[float, ...]) -> Numbers:
    """Returns the probabilities of the ends. An end without a distribution is certain of its class."""
    certain: Numbers = (np.array(classes)[:, None] == scores).astype(np.float64)
    if shares is None:
        return certain
    made: Numbers = np.where(np.isnan(shares).all(axis=0), certain, shares)
    return made


def _elected(scores: Numbers, classes: tuple[float, ...]) -> Indices:
    made = np.full(len(scores), -1, dtype=np.int8 if len(classes) < 128 else np.intp)
    for place, value in enumerate(classes):
        made[scores == value] = place
    return made


def _asks_segments(element: Element) -> bool:
    """Whether an OutputField is about one segment."""
    return any("segmentId" in field.attrib for part in element if part.tag == "Output" for field in part)


def _is_always(segment: Element) -> bool:
    return any(part.tag == "True" for part in segment)


def _joins(tree: Element, context: ModelContext) -> bool:
    """Whether a model is a plain tree with nothing of its own but its nodes."""
    if tree.tag != "TreeModel" or tree.get("functionName") != context.function:
        return False
    if tree.get("isScorable", "true") not in {"true", "1"} or not is_plain(tree):
        return False
    if (tree.get("x-mathContext") == "float") != context.single:
        return False
    return not any(part.tag in _OWN_PARTS for part in tree)
