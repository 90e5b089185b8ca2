"""TreeModel: nodes become steps of a graph, and a table holds the answers of the nodes (PMML 4.4: TreeModel).

The children of a node are asked in the document's order. The first one with a true predicate is taken. A
predicate that is unknown decides at once, as ``missingValueStrategy`` says; with the strategy ``none`` it
counts as false. If no child is taken, ``noTrueChildStrategy`` decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.models.binary_trees import BinaryTree, read_binary_tree
from model_serving.engines.pmml.evaluator.models.bounds import OPPOSITES, Bounds
from model_serving.engines.pmml.evaluator.models.graph import Graph
from model_serving.engines.pmml.evaluator.models.tree_nodes import (
    Ends,
    Node,
    Strategies,
    kind_of,
    read_node,
    root_of,
)
from model_serving.engines.pmml.evaluator.predicates import (
    ALWAYS,
    Comparison,
    SetTest,
    compile_predicate,
)
from model_serving.engines.pmml.evaluator.prediction import (
    Prediction,
    Single,
    WithoutEntities,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.batch import Batch
    from model_serving.engines.pmml.evaluator.data_types import Kind
    from model_serving.engines.pmml.evaluator.models.walk import Walk
    from model_serving.engines.pmml.evaluator.predicates import Predicate
    from model_serving.engines.pmml.evaluator.prediction import ModelContext, Predictor
    from model_serving.engines.pmml.evaluator.record import Record
    from model_serving.engines.pmml.evaluator.scope import Scope
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["TreeGraph", "TreeModel", "compile_model", "is_plain"]


def compile_model(element: Element, context: ModelContext) -> Predictor:
    """Reads a TreeModel.

    Raises:
        Unsupported: a part of it is not known.
    """
    context.needs("regression", "classification")
    if not is_plain(element):
        from model_serving.engines.pmml.evaluator.models import tree_routing

        return tree_routing.compile_tree(element, context)
    graph = TreeGraph(context)
    graph.add(element, context.scope)
    ends = graph.ends
    classes = ends.classes
    return TreeModel(
        kind_of(context),
        classes,
        graph.walk(),
        ends.scores,
        ends.shares(classes),
        ends.confidences(classes),
        ends.ids(context.program.symbols),
    )


def is_plain(element: Element) -> bool:
    """Whether every record of a TreeModel ends in one node, and how it came there does not matter."""
    strategies = Strategies.read(element)
    return strategies.penalty == 1.0 and strategies.when_missing not in {
        "weightedConfidence",
        "aggregateNodes",
    }


@dataclass(frozen=True, slots=True)
class TreeModel(WithoutEntities):
    """Implements ``Predictor`` for one tree. The tables have one column for each end of the walk."""

    kind: Kind
    classes: tuple[float, ...]
    walk: Walk
    scores: Numbers
    shares: Numbers | None
    sureness: Numbers | None
    ids: Numbers

    @property
    def has_probabilities(self) -> bool:
        """Whether some node has a distribution."""
        return self.shares is not None

    def predict(self, batch: Batch) -> Prediction:
        """See ``Predictor.predict``."""
        ends = self.walk.leaves(batch)[0]
        return Prediction(
            self.scores.take(ends),
            None if self.shares is None else self.shares.take(ends, axis=1),
            None if self.sureness is None else self.sureness.take(ends, axis=1),
            self.ids.take(ends)[None, :],
        )

    def predict_one(self, record: Record) -> Single:
        """See ``Predictor.predict_one``."""
        (end,) = self.walk.leaves_of_one(record)
        return Single(
            self.scores.item(end),
            None if self.shares is None else self.shares[:, end].tolist(),
            None if self.sureness is None else self.sureness[:, end].tolist(),
            [self.ids.item(end)],
        )


class TreeGraph:
    """Collects trees with the same target, which are then walked together."""

    def __init__(self, context: ModelContext, *, keeps_ids: bool = True) -> None:
        """Creates the collection; ``keeps_ids`` is that of ``Ends``."""
        self._graph = Graph(context.program)
        self.ends = Ends(
            context.target, classifies=context.classifies, single=context.single, keeps_ids=keeps_ids
        )
        self._scope = context.scope
        self._bounds = {context.scope: Bounds(context.scope)}
        self._roots: list[int] = []
        self._nothing = self._graph.label()
        self._graph.leaf(self._nothing)

    def walk(self) -> Walk:
        """Returns the steps of all the trees. Its leaves are the ends."""
        return self._graph.walk(self._roots)

    def add(self, element: Element, scope: Scope) -> None:
        """Adds a plain TreeModel (see ``is_plain``) over the fields of a scope.

        Raises:
            Unsupported: a part of it is not known.
        """
        strategies = Strategies.read(element)
        graph, self._scope = self._graph, scope
        root = read_node(root_of(element))
        start = label = graph.label()
        self._roots.append(start)
        predicate = compile_predicate(root.predicate, scope)
        if predicate is not ALWAYS:
            label = graph.label()
            graph.test(start, predicate, label, self._nothing, self._nothing)
        tree = read_binary_tree(root.element, self._bounds_of(scope))
        if tree is not None:
            self._add_binary(tree, label, strategies)
            return
        pending = [(root, label)]
        count = 0
        while pending:
            node, label = pending.pop()
            count += 1
            if not node.nodes:
                graph.leaf(label)
                self.ends.add(node.element, node.shares, count)
                continue
            below = [(read_node(child), graph.label()) for child in node.nodes]
            self._split(node, label, below, strategies, count)
            below.reverse()
            pending += below

    def _bounds_of(self, scope: Scope) -> Bounds:
        bounds = self._bounds.get(scope)
        if bounds is None:
            bounds = self._bounds[scope] = Bounds(scope)
        return bounds

    def _add_binary(self, tree: BinaryTree, label: int, strategies: Strategies) -> None:
        """Adds a tree below its root, which has the label already, as ``add`` does node by node."""
        nodes, split, first, second = tree.nodes, tree.split, *tree.below.T
        labels = self._graph.labels(len(nodes))
        labels[0] = label
        ends = labels.copy()
        ends[split] = -1
        if strategies.return_last or strategies.when_missing == "lastPrediction":
            ends[split] = self._graph.labels(len(split))
        places = np.flatnonzero(ends >= 0)
        self._graph.leaves(ends[places])
        self.ends.add_all([nodes[place] for place in places.tolist()], (places + 1).tolist())
        low, high = np.where(tree.is_low_first, (first, second), (second, first))
        missing = np.full(len(split), self._nothing)
        if strategies.when_missing == "lastPrediction" or (
            strategies.when_missing == "none" and strategies.return_last
        ):
            missing = ends[split]
        elif strategies.when_missing == "defaultChild":
            wanted = [nodes[place].get("defaultChild") for place in split.tolist()]
            for child in (second, first):  # of two with the same id the first one counts
                ids = [nodes[place].get("id") for place in child.tolist()]
                found = [one is not None and one == own for one, own in zip(wanted, ids, strict=True)]
                missing = np.where(found, labels[child], missing)
        ways = np.stack([labels[low], labels[high], missing], axis=1)
        self._graph.compare_all(labels[split], tree.fields, tree.ranks, tree.thresholds, ways)

    def _split(
        self,
        node: Node,
        label: int,
        below: list[tuple[Node, int]],
        strategies: Strategies,
        count: int,
    ) -> None:
        itself = -1
        no_child = unknown = self._nothing
        if strategies.return_last or strategies.when_missing == "lastPrediction":
            itself = self._graph.label()
            self._graph.leaf(itself)
            self.ends.add(node.element, node.shares, count)
        if strategies.return_last:
            no_child = itself
        if strategies.when_missing == "lastPrediction":
            unknown = itself
        elif strategies.when_missing == "defaultChild":
            wanted = node.element.get("defaultChild")
            for child, place in below:
                if wanted is not None and child.element.get("id") == wanted:
                    unknown = place
                    break
        counts_as_false = strategies.when_missing == "none"
        self._ask_in_turn(label, below, no_child, None if counts_as_false else unknown)

    def _ask_in_turn(
        self,
        label: int,
        below: list[tuple[Node, int]],
        no_child: int,
        unknown: int | None,
    ) -> None:
        """Adds the tests of the children. ``unknown`` None: an unknown predicate counts as false."""
        graph, scope = self._graph, self._scope
        labels = [place for _, place in below]
        if len(below) == 2:
            split = self._bounds_of(scope).split(below[0][0].predicate, below[1][0].predicate)
            if split is not None:
                field, threshold, is_low_first = split
                low, high = labels if is_low_first else (labels[1], labels[0])
                graph.compare(label, field, threshold, (low, high, no_child if unknown is None else unknown))
                return
        predicates = [compile_predicate(child.predicate, scope) for child, _ in below]
        at, count = 0, len(below)
        while at < count:
            predicate = predicates[at]
            width = _width(predicates, at)
            following = no_child if at + width >= count else graph.label()
            after = following if unknown is None else unknown
            if predicate is ALWAYS:
                graph.goto(label, labels[at])
                return
            if width > 1 and isinstance(predicate, Comparison):
                graph.test(label, predicate, labels[at], labels[at + 1], after)
            elif width > 1 and isinstance(predicate, SetTest):
                ways, other = _switch(predicates[at : at + width], labels[at : at + width], following)
                graph.switch(label, predicate.field, ways, other, after)
            else:
                graph.test(label, predicate, labels[at], following, after)
            label = following
            at += width


def _width(predicates: Sequence[Predicate], at: int) -> int:
    """Returns how many predicates from ``at`` on are one step: about one threshold, or one field's sets."""
    predicate = predicates[at]
    if isinstance(predicate, Comparison) and at + 1 < len(predicates):
        other = predicates[at + 1]
        if (
            isinstance(other, Comparison)
            and other.field is predicate.field
            and other.value == predicate.value
            and OPPOSITES[predicate.operator] == other.operator
        ):
            return 2
    if not isinstance(predicate, SetTest):
        return 1
    width = 1
    for other in predicates[at + 1 :]:
        if not isinstance(other, SetTest) or other.field is not predicate.field:
            break
        width += 1
    return width


def _switch(
    predicates: Sequence[Predicate], labels: Sequence[int], following: int
) -> tuple[dict[float, int], int]:
    """Returns the way on for each value that sets of one field name, and for all other values."""
    sets = [one for one in predicates if isinstance(one, SetTest)]
    named = {value for one in sets for value in one.values}
    ways = {}
    members = [frozenset(one.values) for one in sets]
    for value in named:
        ways[value] = following
        for one, inside, label in zip(sets, members, labels, strict=True):
            if (value in inside) != one.negated:
                ways[value] = label
                break
    other = next((label for one, label in zip(sets, labels, strict=True) if one.negated), following)
    return ways, other
