"""TreeModel: nodes become steps of a graph, and a table holds the answers of the leaves.

The rules are PMML4S's (``TreeModel.predict``): the first child whose predicate is true is taken, even if a
predicate before it is unknown. If no predicate is true, the model's strategies decide: the result is then a
child, the node itself, or nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.compiled.graph import Graph
from model_serving.engines.pmml.compiled.predicates import PREDICATES, Outcomes, Predicates
from model_serving.engines.pmml.compiled.reading import (
    MODEL_ATTRIBUTES,
    MODEL_PARTS,
    NotCompiled,
    check,
    number,
    only,
)

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.compiled.fields import Fields, Numbers
    from model_serving.engines.pmml.compiled.targets import Target
    from model_serving.engines.pmml.compiled.walk import Walk

__all__ = ["Trees", "tree_parts"]

_ATTRIBUTES = MODEL_ATTRIBUTES | {
    "splitCharacteristic",
    "missingValueStrategy",
    "missingValuePenalty",
    "noTrueChildStrategy",
}
_NODE_ATTRIBUTES = frozenset({"id", "score", "recordCount", "defaultChild"})
_NODE_PARTS = PREDICATES | {"Node", "ScoreDistribution"}
_SHARE_ATTRIBUTES = frozenset({"value", "recordCount", "confidence", "probability"})


@dataclass(frozen=True, slots=True)
class _Node:
    element: Element
    predicate: Element
    children: list[Element]
    label: int


@dataclass(frozen=True, slots=True)
class _Strategies:
    when_missing: str
    return_last: bool

    @staticmethod
    def read(element: Element) -> _Strategies:
        when_missing = element.get("missingValueStrategy", "none")
        if when_missing not in {"none", "lastPrediction", "nullPrediction", "defaultChild"}:
            raise NotCompiled(f"the missing value strategy {when_missing}")
        no_true_child = element.get("noTrueChildStrategy", "returnNullPrediction")
        if no_true_child not in {"returnNullPrediction", "returnLastPrediction"}:
            raise NotCompiled(f"the strategy {no_true_child}")
        if number(element.get("missingValuePenalty", "1")) != 1.0:
            raise NotCompiled("a penalty for missing values")
        return _Strategies(when_missing, no_true_child == "returnLastPrediction")


def tree_parts(element: Element) -> list[Element]:
    """Returns the parts of a TreeModel.

    Raises:
        NotCompiled: a part of the model is not known.
    """
    return check(element, _ATTRIBUTES, {*MODEL_PARTS, "Node"})


class Trees:
    """Collects trees with the same target, then walks them together."""

    def __init__(self, fields: Fields, target: Target) -> None:
        self._graph = Graph()
        self._predicates = Predicates(self._graph, fields)
        self._target = target
        self._roots: list[int] = []
        self._scores: list[float] = [np.nan if target.classes is None else -1.0]
        self._shares: list[list[float]] = []
        self._confidences: list[float] = [np.nan]
        self._nothing = self._graph.label()
        self._graph.leaf(self._nothing)
        self._no_shares = [np.nan] * len(target.classes or ())
        self._shares.append(self._no_shares)

    def add(self, element: Element) -> bool:
        """Adds a TreeModel.

        Returns:
            Whether its first leaf gives the probability of every class. PMML4S decides by this leaf which
            outputs a tree in an ensemble has.

        Raises:
            NotCompiled: a part of the model is not known.
        """
        strategies = _Strategies.read(element)
        root = only(tree_parts(element), "Node")
        if root is None:
            raise NotCompiled("a tree without a node")
        label = self._graph.label()
        self._roots.append(label)
        pending = [self._read(root, label)]
        first_leaf = None
        while pending:
            node = pending.pop()
            if node.children:
                pending.extend(reversed(self._split(node, strategies)))
                continue
            self._leaf(node.element, node.label)
            if first_leaf is None:
                first_leaf = len(self._scores) - 1
        if self._target.classes is None or first_leaf is None:
            return False
        return not np.isnan(self._shares[first_leaf]).any()

    def walk(self) -> Walk:
        """Returns the steps of all the trees."""
        return self._graph.walk(self._roots)

    @property
    def scores(self) -> Numbers:
        """The prediction of every leaf, shape (leaves,): a number (NaN for none) or a class index (-1)."""
        return np.array(self._scores)

    @property
    def shares(self) -> Numbers:
        """The probabilities that every leaf gives, shape (leaves, classes)."""
        return np.array(self._shares, dtype=np.float64).reshape(len(self._shares), -1)

    @property
    def confidences(self) -> Numbers:
        """The confidence of every leaf in its prediction, shape (leaves,), NaN if it gives none."""
        return np.array(self._confidences)

    def _read(self, element: Element, label: int) -> _Node:
        parts = check(element, _NODE_ATTRIBUTES, _NODE_PARTS)
        predicates = [part for part in parts if part.tag in PREDICATES]
        if len(predicates) != 1:
            raise NotCompiled(f"a node with {len(predicates)} predicates")
        return _Node(element, predicates[0], [part for part in parts if part.tag == "Node"], label)

    def _split(self, node: _Node, strategies: _Strategies) -> list[_Node]:
        children = [self._read(child, self._graph.label()) for child in node.children]
        no_child = self._graph.label()
        self._graph.goto(no_child, self._itself(node) if strategies.return_last else self._nothing)
        unknown = no_child
        if strategies.when_missing == "lastPrediction":
            unknown = self._itself(node)
        elif strategies.when_missing == "defaultChild":
            wanted = node.element.get("defaultChild")
            found = [
                child.label for child in children if wanted is not None and child.element.get("id") == wanted
            ]
            unknown = found[0] if found else no_child
        if len(children) == 2:
            first, second = children
            to = (first.label, second.label, unknown)
            if self._predicates.add_pair(first.predicate, second.predicate, node.label, to):
                return children
        self._ask_in_turn(node.label, children, no_child, unknown)
        return children

    def _ask_in_turn(self, label: int, children: list[_Node], no_child: int, unknown: int) -> None:
        # There are two lanes. On the second lane a predicate was unknown, which matters if no child is taken.
        lanes = {0: label}
        for index, child in enumerate(children):
            last = index == len(children) - 1
            following = (
                {lane: self._graph.label() for lane in (0, 1)} if not last else {0: no_child, 1: unknown}
            )
            for lane, here in lanes.items():
                outcomes = Outcomes(child.label, following[lane], following[1])
                self._predicates.add(child.predicate, here, outcomes)
            lanes = following

    def _itself(self, node: _Node) -> int:
        """Returns the label of a new leaf that gives the answer of an inner node."""
        label = self._graph.label()
        self._leaf(node.element, label)
        return label

    def _leaf(self, element: Element, label: int) -> None:
        self._graph.leaf(label)
        score = element.get("score")
        if self._target.classes is None:
            self._scores.append(np.nan if score is None else number(score))
            return
        index = -1 if score is None else self._target.index(score)
        self._scores.append(index)
        shares, confidence = self._read_shares(element, index)
        self._shares.append(shares)
        self._confidences.append(confidence)

    def _read_shares(self, element: Element, predicted: int) -> tuple[list[float], float]:
        counts: dict[int, float] = {}
        given: dict[int, float] = {}
        confidence = np.nan
        for part in element:
            if part.tag != "ScoreDistribution":
                continue
            check(part, _SHARE_ATTRIBUTES)
            index = self._target.index(part.get("value", ""))
            if index in counts:
                raise NotCompiled("a class twice in a distribution")
            counts[index] = number(part.get("recordCount"))
            if "probability" in part.attrib:
                given[index] = number(part.get("probability"))
            if "confidence" in part.attrib and index == predicted:
                confidence = number(part.get("confidence"))
        if not counts:
            return self._no_shares, confidence
        total = sum(counts.values())
        shares = self._no_shares.copy()
        for index, count in counts.items():
            if total > 0.0:
                shares[index] = count / total
        for index, probability in given.items():
            shares[index] = probability
        return shares, confidence
