"""Nodes of trees, read strictly, and the table of what a record gets that ends in a node."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.data_types import DOUBLE, Kind
from model_serving.engines.pmml.evaluator.predicates import PREDICATES
from model_serving.engines.pmml.evaluator.reading import (
    MODEL_ATTRIBUTES,
    MODEL_PARTS,
    Unsupported,
    children,
    choice,
    decimal,
    number,
    only,
    required,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.prediction import ModelContext
    from model_serving.engines.pmml.evaluator.symbols import Numbers, Symbols
    from model_serving.engines.pmml.evaluator.targets import Target

__all__ = ["NODE_ATTRIBUTES", "Ends", "Node", "Strategies", "kind_of", "read_node", "root_of"]

_ATTRIBUTES = MODEL_ATTRIBUTES | {
    "splitCharacteristic",
    "missingValueStrategy",
    "missingValuePenalty",
    "noTrueChildStrategy",
}
NODE_ATTRIBUTES = frozenset({"id", "score", "recordCount", "defaultChild"})
"""The attributes that a Node may have."""

_NODE_PARTS = PREDICATES | {"Node", "ScoreDistribution"}
_SHARE_ATTRIBUTES = frozenset({"value", "recordCount", "confidence", "probability"})
_WHEN_MISSING = (
    "none",
    "lastPrediction",
    "nullPrediction",
    "defaultChild",
    "weightedConfidence",
    "aggregateNodes",
)


@dataclass(frozen=True, slots=True)
class Strategies:
    """What a TreeModel says about records that no child of a node, or none for certain, is right for."""

    when_missing: str
    return_last: bool
    penalty: float

    @staticmethod
    def read(element: Element) -> Strategies:
        """Reads the attributes of a TreeModel.

        Raises:
            Unsupported: an attribute has a value that the standard does not have.
        """
        choice(element, "splitCharacteristic", ("binarySplit", "multiSplit"), "multiSplit")
        no_true = choice(
            element,
            "noTrueChildStrategy",
            ("returnNullPrediction", "returnLastPrediction"),
            "returnNullPrediction",
        )
        penalty = number(element, "missingValuePenalty", 1.0)
        if not 0.0 <= penalty <= 1.0:
            raise Unsupported(
                f"missingValuePenalty {penalty:g} of {element.tag}, which is not between 0 and 1"
            )
        when_missing = choice(element, "missingValueStrategy", _WHEN_MISSING, "none")
        return Strategies(when_missing, no_true == "returnLastPrediction", penalty)


@dataclass(slots=True)
class Node:
    """The parts of a Node element."""

    element: Element
    predicate: Element
    nodes: list[Element]
    shares: list[Element]


def root_of(element: Element) -> Element:
    """Returns the root of a TreeModel.

    Raises:
        Unsupported: there is none, or a part of the model is not known.
    """
    root = only(children(element, _ATTRIBUTES, {*MODEL_PARTS, "Node"}), "Node")
    if root is None:
        raise Unsupported("a TreeModel without a Node")
    return root


def read_node(element: Element) -> Node:
    """Reads a Node without its descendants.

    Raises:
        Unsupported: a part is not known, such as a model that is embedded in the node.
    """
    predicate = None
    nodes: list[Element] = []
    shares: list[Element] = []
    if not element.attrib.keys() <= NODE_ATTRIBUTES:
        children(element, NODE_ATTRIBUTES, _NODE_PARTS)
    for part in element:
        tag = part.tag
        if tag == "Node":
            nodes.append(part)
        elif tag == "ScoreDistribution":
            shares.append(part)
        elif tag in PREDICATES and predicate is None:
            predicate = part
        else:
            children(element, NODE_ATTRIBUTES, _NODE_PARTS)
            if tag in PREDICATES:
                raise Unsupported("a Node with several predicates")
    if predicate is None:
        raise Unsupported("a Node without a predicate")
    return Node(element, predicate, nodes, shares)


def kind_of(context: ModelContext) -> Kind:
    """Returns the type of what a tree predicts."""
    kind = context.target.kind
    return kind if context.classifies or kind.is_number else DOUBLE


class Ends:
    """The answers of the nodes in which records may end. The first end, 0, is that there is no answer.

    A score is a number (32 bits if ``single``), or the value of a class. A node without a score has the class
    with the greatest recordCount (PMML 4.4, TreeModel: ScoreDistribution).
    """

    def __init__(self, target: Target, *, classifies: bool, single: bool, keeps_ids: bool = True) -> None:
        """Creates the table. Without ``keeps_ids`` it cannot tell the ids of the nodes."""
        self._keeps_ids = keeps_ids
        self._target = target
        self._classifies = classifies
        self._single = single
        self._scores = array("d", [np.nan])
        self._ids: list[str | None] = [None]
        self._classes: dict[str, float] = {}
        self._places, self._values, self._shares = array("q"), array("d"), array("d")
        self._confidences: list[tuple[int, float, float]] = []
        self._counts = array("d", [0.0])

    def __len__(self) -> int:
        return len(self._scores)

    def add(self, element: Element, shares: list[Element], number_in_tree: int) -> int:
        """Adds a node and returns its place.

        Raises:
            Unsupported: the score or the distribution is not of the target's type.
        """
        attributes = element.attrib
        place = len(self._scores)
        text = attributes.get("score")
        winner = self._add_shares(place, shares) if shares and self._classifies else np.nan
        if text is None:
            self._scores.append(winner)
        elif self._classifies:
            self._scores.append(self._class(text))
        else:
            self._scores.append(self._number(text))
        if self._keeps_ids:
            self._ids.append(attributes.get("id") or str(number_in_tree))
        count = attributes.get("recordCount")
        self._counts.append(np.nan if count is None else number(element, "recordCount"))
        return place

    def add_all(self, elements: list[Element], numbers_in_tree: Sequence[int]) -> None:
        """Adds nodes without distributions (see ``add``)."""
        texts = [element.get("score") for element in elements]
        read = self._class if self._classifies else self._number
        values = {text: np.nan if text is None else read(text) for text in dict.fromkeys(texts)}
        self._scores.extend([values[text] for text in texts])
        if self._keeps_ids:
            self._ids += [
                element.get("id") or str(place)
                for element, place in zip(elements, numbers_in_tree, strict=True)
            ]
        counts = [element.get("recordCount") for element in elements]
        if set(counts) != {None}:
            self._counts.extend([number(element, "recordCount", np.nan) for element in elements])
        else:
            self._counts.frombytes(np.full(len(elements), np.nan).tobytes())

    @property
    def scores(self) -> Numbers:
        """The score of each end, NaN for none, shape (ends,)."""
        return np.array(self._scores)  # a copy: the array may still grow

    @property
    def counts(self) -> Numbers:
        """The recordCount of each end, NaN where the node has none, shape (ends,)."""
        return np.array(self._counts)

    def ids(self, symbols: Symbols) -> Numbers:
        """The codes of the nodes' ids, shape (ends,)."""
        return np.array([np.nan if one is None else symbols.code(one) for one in self._ids])

    @property
    def classes(self) -> tuple[float, ...]:
        """The classes: those that the target declares, then others that nodes name."""
        if not self._classifies:
            return ()
        return tuple(dict.fromkeys((*self._target.values, *self._classes.values())))

    def shares(self, classes: tuple[float, ...]) -> Numbers | None:
        """Returns the probabilities, shape (classes, ends), NaN for ends without a distribution.

        None when no node has a distribution.
        """
        if not self._places:
            return None
        made = np.full((len(classes), len(self)), np.nan)
        rows = {value: row for row, value in enumerate(classes)}
        made[:, np.unique(self._places)] = 0.0
        np.add.at(made, ([rows[value] for value in self._values], self._places), self._shares)
        with np.errstate(invalid="ignore", divide="ignore"):
            shares: Numbers = made / made.sum(axis=0)
        return shares

    def confidences(self, classes: tuple[float, ...]) -> Numbers | None:
        """Returns the confidences that the document gives, shape (classes, ends); None when it gives none."""
        if not self._confidences:
            return None
        made = np.full((len(classes), len(self)), np.nan)
        for place, value, confidence in self._confidences:
            made[classes.index(value), place] = confidence
        return made

    def _number(self, text: str) -> float:
        try:
            value = decimal(text)
        except ValueError:
            raise Unsupported(f"score '{text}' of Node, which is not a number") from None
        return float(np.float32(value)) if self._single else value

    def _class(self, text: str) -> float:
        value = self._classes.get(text)
        if value is None:
            value = self._classes[text] = self._target.class_value(text)
        return value

    def _add_shares(self, place: int, shares: list[Element]) -> float:
        """Adds a distribution and returns the class with the greatest count, the first one on ties."""
        by_probability = "probability" in shares[0].attrib
        winner, greatest = np.nan, 0.0
        for share in shares:
            attributes = share.attrib
            if not attributes.keys() <= _SHARE_ATTRIBUTES or len(share):
                children(share, _SHARE_ATTRIBUTES)
            value = self._class(required(share, "value"))
            weight = number(share, "probability" if by_probability else "recordCount")
            if not 0.0 <= weight < np.inf:
                raise Unsupported(f"a ScoreDistribution with the weight {weight:g}")
            self._places.append(place)
            self._values.append(value)
            self._shares.append(weight)
            count = number(share, "recordCount", weight)
            if count > greatest:
                winner, greatest = value, count
            if "confidence" in attributes:
                self._confidences.append((place, value, number(share, "confidence")))
        return winner
