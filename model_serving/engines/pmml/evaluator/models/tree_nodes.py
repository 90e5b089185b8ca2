"""Nodes of trees and the strategies of their models, read strictly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from model_serving.engines.pmml.evaluator.data_types import DOUBLE, Kind
from model_serving.engines.pmml.evaluator.predicates import PREDICATES
from model_serving.engines.pmml.evaluator.reading import (
    MODEL_ATTRIBUTES,
    MODEL_PARTS,
    Unsupported,
    children,
    choice,
    number,
    only,
)
from model_serving.engines.pmml.xml_columns import ColumnElement

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.prediction import ModelContext

__all__ = [
    "NODE_ATTRIBUTES",
    "SHARE_ATTRIBUTES",
    "Node",
    "Strategies",
    "filled",
    "kind_of",
    "read_node",
    "root_of",
]

_ATTRIBUTES = MODEL_ATTRIBUTES | {
    "splitCharacteristic",
    "missingValueStrategy",
    "missingValuePenalty",
    "noTrueChildStrategy",
}
NODE_ATTRIBUTES = frozenset({"id", "score", "recordCount", "defaultChild"})
"""The attributes that a Node may have."""

_NODE_PARTS = PREDICATES | {"Node", "ScoreDistribution"}
SHARE_ATTRIBUTES = frozenset({"value", "recordCount", "confidence", "probability"})
"""The attributes that a ScoreDistribution may have."""

NO_DEFAULT = (
    "a Node has no defaultChild, which missingValueStrategy asks for: a record that lacks a value there has "
    "no result"
)
"""A warning."""

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
    """Returns the root of a TreeModel. It may be in columns (see ``filled``).

    Raises:
        Unsupported: there is none, or a part of the model is not known.
    """
    root = only(children(element, _ATTRIBUTES, {*MODEL_PARTS, "Node"}), "Node")
    if root is None:
        raise Unsupported("a TreeModel without a Node")
    return root


def filled(root: Element) -> Element:
    """Returns a root with all nodes below it as elements."""
    if isinstance(root, ColumnElement):
        root.fill()
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
