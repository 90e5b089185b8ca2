"""Trees in which a record may end in several nodes, or of which the way to the end counts.

They are attributes of a TreeModel (PMML 4.4). ``weightedConfidence``: where a predicate is unknown, the
record goes to every child that is not false; the answers are weighted with the children's shares of the
recordCount, and the class with the greatest confidence wins. ``aggregateNodes``: the record goes the same
ways, and for each class the recordCounts in the distributions of all the nodes in which it ends are added.
``missingValuePenalty``: confidences are multiplied with it once for each level at which a default child or a
surrogate was used.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.models.tree_ends import Ends
from model_serving.engines.pmml.evaluator.models.tree_nodes import (
    NO_DEFAULT,
    Strategies,
    filled,
    kind_of,
    read_node,
    root_of,
)
from model_serving.engines.pmml.evaluator.predicates import Compound, Predicate, compile_predicate
from model_serving.engines.pmml.evaluator.prediction import Prediction, Single, winner
from model_serving.engines.pmml.evaluator.reading import Unsupported, number, required
from model_serving.engines.pmml.evaluator.record import Failed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.batch import Batch, Mask, Rows
    from model_serving.engines.pmml.evaluator.data_types import Kind
    from model_serving.engines.pmml.evaluator.prediction import ModelContext
    from model_serving.engines.pmml.evaluator.record import Record
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["RoutedTree", "compile_tree"]

_SPREADING = ("weightedConfidence", "aggregateNodes")


@dataclass(slots=True)
class _Node:
    """A node: predicate, place of its answer, children, and default child (``wanted`` is the child's id)."""

    predicate: Predicate
    end: int
    children: list[_Node]
    wanted: str | None = None
    default: _Node | None = None
    count: float = np.nan


@dataclass(frozen=True, slots=True)
class _Group:
    """Records on their way: the node, their places in the batch, their weights, the levels with a penalty."""

    node: _Node
    rows: Rows
    weights: Numbers
    levels: Rows

    def at(self, node: _Node, some: Mask, factor: float = 1.0, *, more: Mask | None = None) -> _Group:
        """Returns some of the records at another node. ``more`` are those that get one level more."""
        levels = self.levels if more is None else self.levels + more[self.rows]
        return _Group(node, self.rows[some], self.weights[some] * factor, levels[some])


def compile_tree(element: Element, context: ModelContext) -> RoutedTree:
    """Reads a TreeModel with any strategy.

    Raises:
        Unsupported: a part of it is not known, or weights are needed and a node has no recordCount.
    """
    strategies = Strategies.read(element)
    ends = Ends(context.target, classifies=context.classifies, single=context.single)
    made: list[_Node] = []
    tallies: list[tuple[int, float, float]] = []
    counts_classes = strategies.when_missing == "aggregateNodes" and context.classifies
    pending: list[tuple[Element, _Node | None]] = [(filled(root_of(element)), None)]
    while pending:
        part, above = pending.pop()
        node = read_node(part)
        end = ends.add(part, node.shares, len(made) + 1)
        one = _Node(compile_predicate(node.predicate, context.scope), end, [], part.get("defaultChild"))
        made.append(one)
        if counts_classes:
            tallies += _tallies(end, part, node.shares, context)
        if above is not None:
            above.children.append(one)
            if above.wanted is not None and above.wanted == part.get("id"):
                above.default = one
        pending += [(child, one) for child in reversed(node.nodes)]
    if strategies.when_missing == "defaultChild" and any(one.children and not one.default for one in made):
        context.program.warn(NO_DEFAULT)
    counts = ends.counts
    for one in made:
        one.count = float(counts[one.end])
    summed = _summed(tallies, ends) if counts_classes else None
    needed = counts if summed is None else summed[:, [one.end for one in made if not one.children]]
    if strategies.when_missing in _SPREADING and np.isnan(needed).any():
        raise Unsupported(f"missingValueStrategy '{strategies.when_missing}' and a Node without recordCount")
    return RoutedTree(made[0], strategies, ends, context, summed)


def _tallies(
    end: int, node: Element, shares: list[Element], context: ModelContext
) -> Iterator[tuple[int, float, float]]:
    """Gives the classes of a node with their recordCounts, NaN for none: (end, class, count)."""
    target = context.target
    for share in shares:
        yield end, target.class_value(required(share, "value")), number(share, "recordCount", np.nan)
    score = node.get("score")
    if not shares and score is not None:
        yield end, target.class_value(score), number(node, "recordCount", np.nan)


def _summed(tallies: list[tuple[int, float, float]], ends: Ends) -> Numbers:
    """Returns the recordCounts of each class in each end, shape (classes, ends)."""
    classes = ends.classes
    made = np.zeros((len(classes), len(ends)))
    for end, value, count in tallies:
        made[classes.index(value), end] += count
    return made


class RoutedTree:
    """Implements ``Predictor``: groups of records are led from node to node."""

    def __init__(
        self, root: _Node, strategies: Strategies, ends: Ends, context: ModelContext, tallies: Numbers | None
    ) -> None:
        """``tallies``: for aggregateNodes, the recordCounts of each class in each end."""
        self.kind: Kind = kind_of(context)
        self.classes = ends.classes
        self.entities: tuple[str, ...] = ()
        self._root = root
        self._strategies = strategies
        self._tallies = tallies
        self._scores, self._counts = ends.scores, ends.counts
        self._ids = ends.ids(context.program.symbols)
        self._shares = ends.shares(self.classes)
        self._confidences = ends.confidences(self.classes)
        self.has_probabilities = self._shares is not None
        self._plain_ends = [
            Single(
                self._scores.item(end),
                None if self._shares is None else self._shares[:, end].tolist(),
                None if self._confidences is None else self._confidences[:, end].tolist(),
                [self._ids.item(end)],
            )
            for end in range(len(ends))
        ]

    def predict(self, batch: Batch) -> Prediction:
        """See ``Predictor.predict``."""
        place = np.zeros(batch.n, dtype=np.intp)
        levels = np.zeros(batch.n, dtype=np.intp)
        reached = np.zeros(batch.n, dtype=np.intp)
        weights: dict[int, Numbers] = {}
        for group, end in self._ends_of(batch):
            place[group.rows] = end
            levels[group.rows] = group.levels
            if end:
                reached[group.rows] += 1
                weights.setdefault(end, np.zeros(batch.n))[group.rows] += group.weights
        found = self._plain(place, levels)
        several = np.flatnonzero(reached > 1)
        if len(several):
            self._spread(found, several, {end: weight[several] for end, weight in weights.items()})
        return found

    def predict_one(self, record: Record) -> Single:
        """See ``Predictor.predict_one``. One that may end in several nodes becomes a batch of one."""
        found = self._end_of_one(record)
        if found is None:
            return Single.of(record.of_batch(self.predict))
        end, levels = found
        made = self._plain_ends[end]
        if made.confidences is None or not levels:
            return made
        factor = self._strategies.penalty**levels
        return replace(made, confidences=[one * factor for one in made.confidences])

    def _end_of_one(self, record: Record) -> tuple[int, int] | None:
        """Returns where one record ends and its levels with a penalty, None if that may be several nodes."""
        strategy, node, levels = self._strategies.when_missing, self._root, 0
        if not node.predicate.one(record):
            return 0, 0
        while node.children:
            truths = [child.predicate.one(record) for child in node.children]
            told = (True,) if strategy == "none" else (True, None)
            place = next((place for place, truth in enumerate(truths) if truth in told), None)
            if place is None:
                return (node.end if self._strategies.return_last else 0), levels
            if truths[place]:
                node = node.children[place]
                predicate = node.predicate
                if isinstance(predicate, Compound) and predicate.operator == "surrogate":
                    levels += predicate.parts[0].one(record) is None
            elif strategy in _SPREADING:
                return None
            elif strategy == "defaultChild":
                if node.default is None:
                    raise Failed  # see ``trees.TreeGraph``
                node, levels = node.default, levels + 1
            else:
                return (node.end if strategy == "lastPrediction" else 0), levels
        return node.end, levels

    def _plain(self, place: Rows, levels: Rows) -> Prediction:
        confidences = None
        if self._confidences is not None:
            confidences = self._confidences[:, place] * self._strategies.penalty**levels
        return Prediction(
            self._scores[place],
            None if self._shares is None else self._shares[:, place],
            confidences,
            self._ids[place][None, :],
        )

    def _spread(self, found: Prediction, rows: Rows, weights: dict[int, Numbers]) -> None:
        """Sets the prediction of records that end in several nodes."""
        ends = np.array(list(weights), dtype=np.intp)
        weight = np.array(list(weights.values()))
        if found.entities is not None:
            found.entities[:, rows] = np.nan
        if self._tallies is not None:
            sums = self._tallies[:, ends] @ (weight > 0.0)
            self._set(found, rows, sums / sums.sum(axis=0))
            return
        if self._strategies.when_missing == "aggregateNodes":
            weight = (weight > 0.0) * self._counts[ends][:, None]
        weight = weight / weight.sum(axis=0)
        if not self.classes or self._shares is None:
            if self.classes:
                votes = np.array([weight[self._scores[ends] == one].sum(axis=0) for one in self.classes])
                found.value[rows] = winner(votes, self.classes)
            else:
                found.value[rows] = self._scores[ends] @ weight
            return
        shares = self._shares[:, ends] @ weight
        sureness = shares
        if self._confidences is not None:
            given = self._confidences[:, ends]
            sureness = np.where(np.isnan(given), self._shares[:, ends], given) @ weight
            if found.confidences is not None:
                found.confidences[:, rows] = sureness
        if found.probabilities is not None:
            found.probabilities[:, rows] = shares
        decisive = sureness if self._strategies.when_missing == "weightedConfidence" else shares
        found.value[rows] = winner(decisive, self.classes)

    def _set(self, found: Prediction, rows: Rows, shares: Numbers) -> None:
        """Sets the prediction of records whose ends are one node with these shares of the classes."""
        for given in (found.probabilities, found.confidences):
            if given is not None:
                given[:, rows] = shares
        found.value[rows] = winner(shares, self.classes)

    def _ends_of(self, batch: Batch) -> Iterator[tuple[_Group, int]]:
        """Gives groups of records and the ends in which they end; a record may be in several groups."""
        n = batch.n
        everything = _Group(self._root, np.arange(n), np.ones(n), np.zeros(n, dtype=np.intp))
        true, _ = self._root.predicate.evaluate(batch)
        yield everything.at(self._root, ~true), 0
        pending = [everything.at(self._root, true)]
        while pending:
            group = pending.pop()
            if not len(group.rows):
                continue
            if not group.node.children:
                yield group, group.node.end
                continue
            left = np.ones(len(group.rows), dtype=bool)
            for child in group.node.children:
                true, unknown = child.predicate.evaluate(batch)
                here, open_question = true[group.rows] & left, unknown[group.rows] & left
                pending.append(group.at(child, here, more=_by_surrogate(child.predicate, batch)))
                left &= ~here
                if self._strategies.when_missing != "none" and open_question.any():
                    left &= ~open_question
                    yield from self._unknown(group, open_question, batch, pending)
            yield group.at(group.node, left), group.node.end if self._strategies.return_last else 0

    def _unknown(
        self, group: _Group, some: Mask, batch: Batch, pending: list[_Group]
    ) -> Iterator[tuple[_Group, int]]:
        """Leads on the records for which a predicate is unknown."""
        strategy, node = self._strategies.when_missing, group.node
        if strategy == "lastPrediction":
            yield group.at(node, some), node.end
        elif strategy == "defaultChild" and node.default is not None:
            pending.append(group.at(node.default, some, more=np.ones(batch.n, dtype=bool)))
        elif strategy == "defaultChild":
            failed = np.zeros(batch.n, dtype=bool)
            failed[group.rows[some]] = True
            batch.fail(failed)
        elif strategy in _SPREADING:
            rows = group.rows[some]
            possible = np.array(
                [np.any(one.predicate.evaluate(batch), axis=0)[rows] for one in node.children]
            )
            counts = np.array([one.count for one in node.children])
            whole = np.zeros(batch.n)
            whole[rows] = counts @ possible
            for child, mask in zip(node.children, possible, strict=True):
                chosen = np.zeros(batch.n, dtype=bool)
                chosen[rows] = mask
                selected = chosen[group.rows]
                part = group.at(child, selected)
                if strategy == "weightedConfidence":
                    part.weights[:] *= child.count / whole[part.rows]
                pending.append(part)
        else:
            yield group.at(node, some), 0


def _by_surrogate(predicate: Predicate, batch: Batch) -> Mask | None:
    """Returns the records for which the first predicate of a surrogate is unknown."""
    if not isinstance(predicate, Compound) or predicate.operator != "surrogate":
        return None
    return predicate.parts[0].evaluate(batch)[1]
