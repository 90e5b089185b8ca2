"""TreeModel, and MiningModel as an ensemble of trees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.compiled.evaluation import Evaluation, Evaluator, MostProbable
from model_serving.engines.pmml.compiled.fields import same_treatment
from model_serving.engines.pmml.compiled.reading import (
    MODEL_ATTRIBUTES,
    MODEL_PARTS,
    NOTHING,
    NotCompiled,
    check,
    number,
    only,
)
from model_serving.engines.pmml.compiled.trees import Trees, tree_parts

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.compiled.fields import Fields, Numbers
    from model_serving.engines.pmml.compiled.targets import Target
    from model_serving.engines.pmml.compiled.walk import Walk

__all__ = ["compile_ensemble", "compile_tree"]

_WEIGHTED = frozenset({"weightedMajorityVote", "weightedAverage", "weightedSum"})
_VOTES = frozenset({"majorityVote", "weightedMajorityVote"})
_OF_NUMBERS = frozenset({"average", "weightedAverage", "median", "sum", "weightedSum"})
_OF_PROBABILITIES = frozenset({"average", "weightedAverage", "median"})
_MOST_PLACES = 4_000_000
"""The number of leaves, records times trees, that are kept at a time: a quarter of a second's work."""


def compile_tree(element: Element, fields: Fields, target: Target) -> Evaluator:
    """Compiles a TreeModel.

    Raises:
        NotCompiled: a part of the model is not known exactly.
    """
    trees = Trees(fields, target)
    trees.add(element)
    return _Tree(trees, target)


def compile_ensemble(element: Element, fields: Fields, target: Target) -> Evaluator:
    """Compiles a MiningModel whose segments are trees that all take part in each answer.

    Raises:
        NotCompiled: a part of the model is not known exactly.
    """
    parts = check(element, MODEL_ATTRIBUTES, {*MODEL_PARTS, "Segmentation"})
    segmentation = only(parts, "Segmentation")
    if segmentation is None:
        raise NotCompiled("a MiningModel without a segmentation")
    segments = check(segmentation, {"multipleModelMethod", "missingPredictionTreatment"}, ("Segment",))
    method = segmentation.get("multipleModelMethod", "")
    missing = segmentation.get("missingPredictionTreatment", "continue")
    classifies = target.classes is not None
    if method not in (_VOTES | _OF_PROBABILITIES if classifies else _OF_NUMBERS) or missing != "continue":
        raise NotCompiled(f"{element.get('functionName')} by {method}, missing predictions {missing}")
    if method in _VOTES and target.data_type != "string":
        raise NotCompiled("votes for classes that are numbers")
    trees, weights = Trees(fields, target), []
    for segment in segments:
        weights.append(number(segment.get("weight", "1")) if method in _WEIGHTED else 1.0)
        complete = trees.add(_tree_of(segment, element, fields, target))
        if classifies and method not in _VOTES and not complete:
            raise NotCompiled("a tree whose first leaf does not give every class a probability")
    if not segments or sum(weights) <= 0.0:
        raise NotCompiled("an ensemble without trees or weights")
    combined = _Combined(trees, method, weights, votes=method in _VOTES)
    return _Classifying(combined, target) if classifies else _Summing(combined)


def _tree_of(segment: Element, ensemble: Element, fields: Fields, target: Target) -> Element:
    parts = check(segment, {"id", "weight"}, ("True", "TreeModel"))
    tree = only(parts, "TreeModel")
    if tree is None or len(parts) != 2 or tree.get("functionName") != ensemble.get("functionName"):
        raise NotCompiled("a segment that is not simply a tree of the same function")
    check(parts[0], NOTHING)
    inside = tree_parts(tree)
    if {part.tag for part in inside} != {"MiningSchema", "Node"}:
        raise NotCompiled("a tree with outputs, targets or transformations of its own in an ensemble")
    schema = only(inside, "MiningSchema")
    if schema is not None:
        same_treatment(schema, fields)
        for mining in schema:
            if mining.get("usageType") in {"target", "predicted"} and mining.get("name") != target.name:
                raise NotCompiled("a tree with a target of its own")
    return tree


class _Tree:
    """A single tree. Tables hold the answers of its leaves."""

    def __init__(self, trees: Trees, target: Target) -> None:
        self._walk: Walk = trees.walk()
        if target.classes is None:
            self._scores, self._rows = trees.scores, None
            return
        self._scores = trees.scores.astype(np.intp)
        shares = trees.shares
        rows = np.full((shares.shape[1] + 2, len(shares)), np.nan)
        rows[:-2] = shares.T
        known = np.flatnonzero(self._scores >= 0)
        rows[-2, known] = shares[known, self._scores[known]]
        rows[-1] = trees.confidences
        self._rows = rows

    def evaluate(self, values: Numbers) -> Evaluation:
        """See ``Evaluator.evaluate``."""
        leaves = self._walk.leaves(values)[0]
        if self._rows is None:
            return Evaluation(self._scores.take(leaves))
        return Evaluation(self._scores.take(leaves), self._rows.take(leaves, axis=1))


class _Combined:
    """Combines the trees' answers, in the order of the trees, because rounding depends on the order."""

    def __init__(self, trees: Trees, method: str, weights: list[float], *, votes: bool) -> None:
        self._walk: Walk = trees.walk()
        self._method = method
        self._trees = len(weights)
        self._weights = np.array(weights)[:, None, None] if method in _WEIGHTED else None
        self._divisor = sum(weights) if method == "weightedAverage" else float(self._trees)
        if votes:
            self._table = np.zeros(trees.shares.shape)
            scores = trees.scores.astype(np.intp)
            known = np.flatnonzero(scores >= 0)
            self._table[known, scores[known]] = 1.0
        else:
            self._table = trees.shares if trees.shares.shape[1] else trees.scores[:, None]

    def numbers(self, values: Numbers) -> Numbers:
        """Returns the sums, means or medians, shape (n, numbers)."""
        at_a_time = max(1, _MOST_PLACES // self._trees)
        if len(values) > at_a_time:
            parts = range(0, len(values), at_a_time)
            return np.concatenate([self.numbers(values[start : start + at_a_time]) for start in parts])
        said = self._table.take(self._walk.leaves(values), axis=0)
        if self._method == "median":
            return _median(said)
        if self._weights is not None:
            said *= self._weights
        total = _sum_in_order(said)
        return total if self._method in {"sum", "weightedSum"} else total / self._divisor


def _sum_in_order(said: Numbers) -> Numbers:
    """Returns the sum over the first axis, added in order. numpy adds a single column in another order."""
    if said[0].size > 1:
        return np.asarray(np.add.reduce(said, axis=0))
    return np.asarray(np.add.accumulate(said, axis=0)[-1])


def _median(said: Numbers) -> Numbers:
    """Returns the median over the first axis; NaN counts as the greatest number."""
    ordered = np.sort(said, axis=0)
    middle = len(said) // 2
    if len(said) % 2:
        return np.asarray(ordered[middle])
    return np.asarray((ordered[middle] + ordered[middle - 1]) / 2.0)


class _Summing:
    def __init__(self, combined: _Combined) -> None:
        self._combined = combined

    def evaluate(self, values: Numbers) -> Evaluation:
        """See ``Evaluator.evaluate``."""
        return Evaluation(self._combined.numbers(values)[:, 0])


class _Classifying:
    def __init__(self, combined: _Combined, target: Target) -> None:
        self._combined = combined
        self._most_probable = MostProbable(target)

    def evaluate(self, values: Numbers) -> Evaluation:
        """See ``Evaluator.evaluate``."""
        return self._most_probable.evaluation(np.ascontiguousarray(self._combined.numbers(values).T))
