"""Turns the nodes of a tree in columns into the steps of a graph, all at once (see ``column_trees``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.models.column_trees import ALWAYS_TRUE, OTHER

if TYPE_CHECKING:
    from model_serving.engines.pmml.evaluator.batch import Mask, Rows
    from model_serving.engines.pmml.evaluator.models.column_trees import ColumnTree
    from model_serving.engines.pmml.evaluator.models.graph import Graph

__all__ = ["Children", "Ways", "add_steps"]


@dataclass(frozen=True, slots=True, eq=False)
class Children:
    """The children of N nodes.

    Attributes:
        ranks: all nodes but the root, sorted by the node above them, shape (N - 1,).
        above: the node above each, shape (N - 1,).
        counts: the number of children of each node, shape (N,).
        has_others: whether a child of the node has a predicate that is not in columns, shape (N,).
    """

    ranks: Rows
    above: Rows
    counts: Rows
    has_others: Mask

    @staticmethod
    def of(tree: ColumnTree) -> Children:
        """Returns the children of a tree's nodes."""
        # One sort of numbers is faster than a sort that gives the order of others.
        bits = len(tree.above).bit_length()
        ordered = np.sort((tree.above[1:] << bits) | np.arange(1, len(tree.above)))
        above = ordered >> bits
        ranks = ordered & ((1 << bits) - 1)
        has_others = np.zeros(len(tree.nodes), dtype=bool)
        has_others[above[tree.kinds[ranks] == OTHER]] = True
        return Children(ranks, above, np.bincount(above, minlength=len(tree.nodes)), has_others)

    def of_one(self, rank: int) -> list[int]:
        """Returns the children of one node."""
        first = int(self.above.searchsorted(rank))
        found: list[int] = self.ranks[first : first + int(self.counts[rank])].tolist()
        return found

    def defaults(self, tree: ColumnTree, labels: Rows, nothing: Rows) -> Rows:
        """Returns the label of each node's defaultChild, ``nothing`` where there is none, shape (N,).

        Of two children with the same id the first one counts.
        """
        wanted = tree.columns.column("defaultChild")[tree.nodes][self.above]
        is_wanted = (wanted >= 0) & (wanted == tree.columns.column("id")[tree.nodes][self.ranks])
        found = np.flatnonzero(is_wanted)[::-1]
        made = nothing.copy()
        made[self.above[found]] = labels[self.ranks[found]]
        return made


@dataclass(frozen=True, slots=True, eq=False)
class Ways:
    """Where records go on from N nodes.

    Attributes:
        labels: the nodes' labels, shape (N,).
        no_child: the label for records that no child of the node is right for, shape (N,).
        unknown: the label for records for which a child's predicate is unknown, shape (N,). None: it counts
            as false.
    """

    labels: Rows
    no_child: Rows
    unknown: Rows | None


def add_steps(graph: Graph, tree: ColumnTree, children: Children, ways: Ways) -> None:
    """Adds the steps of all nodes but those of which a child has another predicate than a comparison."""
    asked = np.flatnonzero(~children.has_others[children.above])
    if not len(asked):
        return
    ranks, above = children.ranks[asked], children.above[asked]
    is_first = np.diff(above, prepend=-1) != 0
    is_pair = _pairs(tree, ranks, is_first & (children.counts[above] == 2))
    first, second = ranks[is_pair], ranks[np.flatnonzero(is_pair) + 1]
    split = above[is_pair]
    after = ways.no_child if ways.unknown is None else ways.unknown
    _compare(graph, tree, first, ways.labels[split], (ways.labels[first], ways.labels[second], after[split]))
    alone = ~is_pair
    alone[np.flatnonzero(is_pair) + 1] = False
    _ask_in_turn(graph, tree, (ranks[alone], above[alone], is_first[alone]), ways)


def _pairs(tree: ColumnTree, ranks: Rows, is_first_of_two: Mask) -> Mask:
    """Returns which children are the first of two of which each is right where the other is not."""
    made = np.zeros(len(ranks), dtype=bool)
    places = np.flatnonzero(is_first_of_two)
    one, other = ranks[places], ranks[places + 1]
    made[places] = (
        (tree.kinds[one] < ALWAYS_TRUE)
        & (tree.kinds[one] ^ 1 == tree.kinds[other])
        & (tree.ranks[one] == tree.ranks[other])
        & (tree.bounds[one] == tree.bounds[other])
    )
    return made


def _ask_in_turn(graph: Graph, tree: ColumnTree, children: tuple[Rows, Rows, Mask], ways: Ways) -> None:
    """Adds a step for each child. ``children``: the nodes, those above them, and which are the first ones."""
    ranks, above, is_first = children
    if not len(ranks):
        return
    is_always = tree.kinds[ranks] == ALWAYS_TRUE
    labels = np.where(is_first, ways.labels[above], ways.labels[ranks])
    asked_later = np.flatnonzero(~is_first & ~is_always)
    if len(asked_later):
        labels[asked_later] = graph.labels(len(asked_later))
    following = np.append(labels[1:], 0)
    is_last = np.append(is_first[1:], True)
    following = np.where(is_last, ways.no_child[above], following)
    for place in np.flatnonzero(is_first & is_always).tolist():
        graph.goto(int(labels[place]), int(ways.labels[ranks[place]]))
    compared = np.flatnonzero(~is_always)
    ranks, following = ranks[compared], following[compared]
    unknown = following if ways.unknown is None else ways.unknown[above[compared]]
    _compare(graph, tree, ranks, labels[compared], (ways.labels[ranks], following, unknown))


def _compare(
    graph: Graph, tree: ColumnTree, ranks: Rows, labels: Rows, ways: tuple[Rows, Rows, Rows]
) -> None:
    """Adds the comparisons of some nodes. ``ways`` are those for true, false and missing."""
    if not len(ranks):
        return
    true, false, missing = ways
    is_low = tree.kinds[ranks] & 1 == 0
    low, high = np.where(is_low, (true, false), (false, true))
    graph.compare_all(
        labels,
        tree.fields,
        tree.ranks[ranks],
        tree.thresholds[ranks],
        np.stack([low, high, missing], axis=1),
    )
