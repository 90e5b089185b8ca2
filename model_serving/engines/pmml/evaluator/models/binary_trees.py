"""Reads trees of which each node is a leaf or is split in two at a threshold, all nodes at once.

Such are the trees of many large forests. Their attributes are read in columns, which takes a third of the
time that the nodes take one by one. Trees of any other form are left to the module ``trees``, which also says
what is wrong with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.models.tree_nodes import NODE_ATTRIBUTES
from model_serving.engines.pmml.evaluator.predicates import PREDICATES
from model_serving.engines.pmml.evaluator.reading import plain_decimals

if TYPE_CHECKING:
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.batch import Rows
    from model_serving.engines.pmml.evaluator.models.bounds import Bounds
    from model_serving.engines.pmml.evaluator.scope import Field
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["BinaryTree", "read_binary_tree"]

_PARTS = itemgetter("field", "operator", "value")
_OPERATORS = {"lessOrEqual": 0, "greaterThan": 1, "lessThan": 2, "greaterOrEqual": 3}
"""The numbers of an operator and its opposite differ in the last bit: it is set if the high way is true."""


@dataclass(frozen=True, slots=True)
class BinaryTree:
    """The nodes, in the document's order, and the splits of those that are no leaves.

    Attributes:
        nodes: the Node elements, the root first.
        split: the places of the nodes that are split, shape (splits,).
        below: the places of their first and second child, shape (splits, 2).
        fields: the fields that are compared.
        ranks: the place of each split's field among these, shape (splits,).
        thresholds: the greatest value that goes the low way, shape (splits,).
        is_low_first: whether this is the way to the first child, shape (splits,).
    """

    nodes: list[Element]
    split: Rows
    below: Rows
    fields: Sequence[Field]
    ranks: Rows
    thresholds: Numbers
    is_low_first: Rows


def read_binary_tree(root: Element, bounds: Bounds) -> BinaryTree | None:
    """Reads the tree below a Node, without the root's predicate. Returns None if it has any other form."""
    nodes = list(root.iter("Node"))
    sizes = np.fromiter(map(len, nodes), dtype=np.intp, count=len(nodes))
    tests = _tests(root, nodes, sizes)
    if not tests or not set().union(*[node.attrib for node in nodes]) <= NODE_ATTRIBUTES:
        return None
    attributes = [test.attrib for test in tests]
    if set(map(len, attributes)) != {3}:
        return None
    try:
        names, operators, texts = zip(*map(_PARTS, attributes), strict=True)
        operator = np.array([_OPERATORS[text] for text in operators])
    except KeyError:
        return None
    fields = {name: bounds.compared(name) for name in dict.fromkeys(names)}
    compared = [field for field in fields.values() if field is not None]
    split, below = _splits(sizes)
    first, second = below.T - 1  # the root has no test
    values = np.array(texts, dtype=object)
    numbers = plain_decimals(values[first].tolist())
    if numbers is None or len(compared) < len(fields):
        return None
    places = {name: place for place, name in enumerate(fields)}
    rank = np.array([places[name] for name in names])
    other = np.flatnonzero(values[first] != values[second])
    if len(other):  # hardly ever: who writes a number twice writes it in the same way
        again = plain_decimals(values[second[other]].tolist())
        if again is None or (numbers[other] != again).any():
            return None
    opposite = rank[first] == rank[second]
    if not (opposite & (operator[first] ^ 1 == operator[second])).all():
        return None
    ranks, thresholds, kind = rank[first], numbers, operator[first]
    is_single = np.array([field.kind.data_type == "float" for field in compared])[ranks]
    thresholds = np.where(is_single, thresholds.astype(np.float32), thresholds)
    thresholds = np.where(kind >= 2, np.nextafter(thresholds, -np.inf), thresholds)
    return BinaryTree(nodes, split, below, compared, ranks, thresholds, kind & 1 == 0)


def _tests(root: Element, nodes: list[Element], sizes: Rows) -> list[Element]:
    """Returns the predicates of all nodes but the root; none if there are other parts or other predicates."""
    is_binary = ((sizes == 1) | (sizes == 3)).all()
    if len(nodes) < 3 or not is_binary or root[0].tag not in PREDICATES:
        return []
    tests = [node[0] for node in nodes[1:]]
    # If each node begins with a predicate and these are all that is no node, then nodes follow it.
    is_all = len(list(root.iter())) == 2 * len(nodes)
    return tests if is_all and {test.tag for test in tests} == {"SimplePredicate"} else []


def _splits(sizes: Rows) -> tuple[Rows, Rows]:
    """Returns the places of the nodes that are split, and those of their two children.

    The nodes stand in the document's order, each before those below it. ``sizes`` are their numbers of parts:
    1 for a leaf, 3 for a node that is split.
    """
    split = np.flatnonzero(sizes == 3)
    # How many nodes still lack a child after each place. The second child of a node comes after the first
    # leaf behind it that takes the number back to what it was before the node.
    lacking = np.cumsum(sizes - 2)
    leaves = np.flatnonzero(sizes == 1)
    count = len(sizes) + 1
    order = np.sort(lacking[leaves] * count + leaves)
    ends = order[order.searchsorted((lacking[split] - 1) * count + split)] % count
    return split, np.stack([split + 1, ends + 1], axis=1)
