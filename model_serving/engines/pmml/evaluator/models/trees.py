"""TreeModel: nodes become steps of a graph, and a table holds the answers of the nodes (PMML 4.4: TreeModel).

The children of a node are asked in the document's order. The first one with a true predicate is taken. A
predicate that is unknown decides at once, as ``missingValueStrategy`` says; with the strategy ``none`` it
counts as false. If no child is taken, ``noTrueChildStrategy`` decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.models.bounds import OPPOSITES, Bounds
from model_serving.engines.pmml.evaluator.models.column_steps import Children, Ways, add_steps
from model_serving.engines.pmml.evaluator.models.column_trees import ColumnTree, read_column_tree
from model_serving.engines.pmml.evaluator.models.graph import Graph
from model_serving.engines.pmml.evaluator.models.tree_ends import Ends
from model_serving.engines.pmml.evaluator.models.tree_nodes import (
    NO_DEFAULT,
    Node,
    Strategies,
    filled,
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
from model_serving.engines.pmml.xml_columns import ColumnElement

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
        self._failing: tuple[int, int] | None = None
        self._program = context.program

    def walk(self) -> Walk:
        """Returns the steps of all the trees. Its leaves are the ends."""
        return self._graph.walk(self._roots, None if self._failing is None else self._failing[1])

    def add(self, element: Element, scope: Scope) -> None:
        """Adds a plain TreeModel (see ``is_plain``) over the fields of a scope.

        Raises:
            Unsupported: a part of it is not known.
        """
        strategies = Strategies.read(element)
        graph, self._scope = self._graph, scope
        element = root_of(element)
        if isinstance(element, ColumnElement):
            columns = read_column_tree(element.columns, self._bounds_of(scope))
            if columns is not None:
                label = self._begin(columns.columns.element(int(columns.predicates[0])))
                self._add_columns(columns, label, strategies)
                return
        root = read_node(filled(element))
        label = self._begin(root.predicate)
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

    def _begin(self, predicate: Element) -> int:
        """Begins a tree with the predicate of its root. Returns the label for records that pass it."""
        start = label = self._graph.label()
        self._roots.append(start)
        test = compile_predicate(predicate, self._scope)
        if test is not ALWAYS:
            label = self._graph.label()
            self._graph.test(start, test, label, self._nothing, self._nothing)
        return label

    def _without_default(self) -> int:
        """Returns the label for records that go to the default child of a node that names none.

        PMML 4.4, TreeModel: the strategy defaultChild "requires the presence of the attribute defaultChild in
        every non-leaf Node". Some exporters, such as CatBoost, leave it out. Such a record fails: without the
        tree's prediction, models after it would predict something all the same.
        """
        if self._failing is None:
            self._program.warn(NO_DEFAULT)
            self._failing = self._graph.label(), self.ends.add_nothing()
            self._graph.leaf(self._failing[0])
        return self._failing[0]

    def _bounds_of(self, scope: Scope) -> Bounds:
        bounds = self._bounds.get(scope)
        if bounds is None:
            bounds = self._bounds[scope] = Bounds(scope)
        return bounds

    def _add_columns(self, tree: ColumnTree, label: int, strategies: Strategies) -> None:
        """Adds a tree in columns below its root, which has the label already."""
        graph, children = self._graph, Children.of(tree)
        labels = graph.labels(len(tree.nodes))
        labels[0] = label
        ends = np.where(children.counts == 0, labels, -1)
        split = np.flatnonzero(children.counts)
        keeps_last = strategies.when_missing == "lastPrediction"
        if len(split) and (strategies.return_last or keeps_last):
            ends[split] = graph.labels(len(split))
        ranks = np.flatnonzero(ends >= 0)
        graph.leaves(ends[ranks])
        self.ends.add_columns(tree, ranks)
        nothing = np.full(len(labels), self._nothing)
        unknown = ends if keeps_last else nothing
        if strategies.when_missing == "defaultChild":
            unknown = children.defaults(tree, labels, nothing)
            lacking = split[unknown[split] == self._nothing]
            if len(lacking):
                unknown[lacking] = self._without_default()
        ways = Ways(
            labels,
            ends if strategies.return_last else nothing,
            None if strategies.when_missing == "none" else unknown,
        )
        add_steps(graph, tree, children, ways)
        for rank in np.flatnonzero(children.has_others & (children.counts > 0)).tolist():
            below = children.of_one(rank)
            asked = [(tree.columns.element(int(tree.predicates[one])), int(labels[one])) for one in below]
            after = None if ways.unknown is None else int(ways.unknown[rank])
            self._ask_in_turn(int(labels[rank]), asked, int(ways.no_child[rank]), after)

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
            named = (place for child, place in below if child.element.get("id") == wanted)
            default = None if wanted is None else next(named, None)
            unknown = self._without_default() if default is None else default
        counts_as_false = strategies.when_missing == "none"
        asked = [(child.predicate, place) for child, place in below]
        self._ask_in_turn(label, asked, no_child, None if counts_as_false else unknown)

    def _ask_in_turn(
        self,
        label: int,
        below: Sequence[tuple[Element, int]],
        no_child: int,
        unknown: int | None,
    ) -> None:
        """Adds the tests of children: pairs of a predicate and the child's label.

        ``unknown`` None: an unknown predicate counts as false.
        """
        graph, scope = self._graph, self._scope
        labels = [place for _, place in below]
        if len(below) == 2:
            split = self._bounds_of(scope).split(below[0][0], below[1][0])
            if split is not None:
                field, threshold, is_low_first = split
                low, high = labels if is_low_first else (labels[1], labels[0])
                graph.compare(label, field, threshold, (low, high, no_child if unknown is None else unknown))
                return
        predicates = [compile_predicate(predicate, scope) for predicate, _ in below]
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
