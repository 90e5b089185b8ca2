"""RuleSetModel: rules with predicates, of which the first, the heaviest or the heaviest class is chosen.

See PMML 4.4, Ruleset. A rule inside of CompoundRules fires when their predicates are true too. A rule with an
unknown predicate does not fire.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.models.graph import Graph
from model_serving.engines.pmml.evaluator.predicates import PREDICATES, Predicate, predicate_of
from model_serving.engines.pmml.evaluator.prediction import Prediction, Single
from model_serving.engines.pmml.evaluator.reading import (
    MODEL_ATTRIBUTES,
    MODEL_PARTS,
    Unsupported,
    children,
    choice,
    named,
    number,
    only,
    required,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.batch import Batch, Mask, Rows
    from model_serving.engines.pmml.evaluator.data_types import Kind
    from model_serving.engines.pmml.evaluator.models.walk import Walk
    from model_serving.engines.pmml.evaluator.prediction import ModelContext
    from model_serving.engines.pmml.evaluator.record import Record
    from model_serving.engines.pmml.evaluator.scope import Scope

__all__ = ["RuleSetModel", "compile_model"]

_SET = frozenset({"recordCount", "nbCorrect", "defaultScore", "defaultConfidence"})
_RULE = frozenset({"id", "score", "recordCount", "nbCorrect", "confidence", "weight"})
_RULES = ("SimpleRule", "CompoundRule")


@dataclass(frozen=True, slots=True)
class _Rule:
    """A SimpleRule. ``conditions`` are the places of the predicates of the CompoundRules around it."""

    element: Element
    predicate: Predicate
    conditions: tuple[int, ...]


@dataclass(slots=True)
class _Rules:
    """The rules in the document's order, and the predicates of the CompoundRules."""

    rules: list[_Rule]
    compounds: list[Predicate]


def compile_model(element: Element, context: ModelContext) -> RuleSetModel:
    """Reads a RuleSetModel.

    Raises:
        Unsupported: a part of it is not known.
    """
    context.needs("classification")
    rule_set = only(
        children(element, MODEL_ATTRIBUTES, {*MODEL_PARTS, "RuleSet"}),
        "RuleSet",
    )
    if rule_set is None:
        raise Unsupported("a RuleSetModel without a RuleSet")
    parts = children(rule_set, _SET, {"RuleSelectionMethod", "ScoreDistribution", *_RULES})
    methods = named(parts, "RuleSelectionMethod")
    if not methods:
        raise Unsupported("a RuleSet without a RuleSelectionMethod")
    children(methods[0], {"criterion"})
    criterion = choice(methods[0], "criterion", ("firstHit", "weightedSum", "weightedMax"), None)
    rules = _read_rules([part for part in parts if part.tag in _RULES], context.scope)
    return RuleSetModel(rule_set, criterion, rules, context)


def _read_rules(elements: Sequence[Element], scope: Scope) -> _Rules:
    found = _Rules([], [])
    pending: list[tuple[Element, tuple[int, ...]]] = [(one, ()) for one in reversed(elements)]
    while pending:
        element, conditions = pending.pop()
        if element.tag == "SimpleRule":
            parts = children(element, _RULE, {"ScoreDistribution", *PREDICATES})
            found.rules.append(_Rule(element, predicate_of(parts, element, scope), conditions))
            continue
        parts = children(element, frozenset(), {*PREDICATES, *_RULES})
        found.compounds.append(predicate_of(parts, element, scope))
        inner = (*conditions, len(found.compounds) - 1)
        if len(inner) > 100:
            raise Unsupported("more than 100 CompoundRules inside of each other")
        pending += [(part, inner) for part in reversed(parts) if part.tag in _RULES]
    return found


class RuleSetModel:
    """Implements ``Predictor``. The last place in its tables is the default, for records without a rule."""

    has_probabilities = False

    def __init__(self, element: Element, criterion: str, rules: _Rules, context: ModelContext) -> None:
        target = context.target
        self.kind: Kind = target.kind
        self.entities: tuple[str, ...] = ()
        self._criterion = criterion
        self._rules = rules
        elements = [one.element for one in rules.rules]
        scores = [target.class_value(required(one, "score")) for one in elements]
        default = element.get("defaultScore")
        last = np.nan if default is None else target.class_value(default)
        self._scores = np.array([*scores, last])
        named_classes = dict.fromkeys([*scores, *([] if default is None else [last])])
        first = [value for value in target.values if value in named_classes]
        self.classes = tuple(dict.fromkeys([*first, *named_classes]))
        self._weights = np.array([number(one, "weight", 1.0) for one in elements])
        sure = [number(one, "confidence", 1.0) for one in elements]
        self._sureness = np.array([*sure, number(element, "defaultConfidence", np.nan)])
        symbols = context.program.symbols
        ids = [symbols.code(one.get("id") or str(place)) for place, one in enumerate(elements, 1)]
        self._ids = np.array([*ids, np.nan])
        self._walk = _first_hit(rules, context) if criterion == "firstHit" else None

    def predict(self, batch: Batch) -> Prediction:
        """See ``Predictor.predict``."""
        if self._walk is not None:
            return self._of_rule(self._walk.leaves(batch)[0])
        fires = self._fires(batch)
        if self._criterion == "weightedMax":
            weights = np.where(fires, self._weights[:, None], -np.inf)
            heaviest = weights.argmax(axis=0)
            return self._of_rule(np.where(fires.any(axis=0), heaviest, len(self._weights)))
        return self._of_class(fires)

    def predict_one(self, record: Record) -> Single:
        """See ``Predictor.predict_one``."""
        if self._walk is not None:
            (place,) = self._walk.leaves_of_one(record)
        elif self._criterion == "weightedMax":
            weights = self._weights.tolist()
            place = max(self._firing(record), key=weights.__getitem__, default=len(weights))
        else:
            firing = self._firing(record)
            if firing:
                return self._class_of_one(firing)
            place = len(self._weights)
        value, sureness = self._scores.item(place), self._sureness.item(place)
        confidences = [sureness * (one == value) for one in self.classes]
        return Single(value, None, confidences, [self._ids.item(place)])

    def _firing(self, record: Record) -> list[int]:
        """Returns the places of the rules that fire for one record alone (raises as ``Predicate.one``)."""
        holds = [one.one(record) for one in self._rules.compounds]
        fires = [
            bool(rule.predicate.one(record)) and all(holds[condition] for condition in rule.conditions)
            for rule in self._rules.rules
        ]
        return [place for place, does in enumerate(fires) if does]

    def _class_of_one(self, firing: list[int]) -> Single:
        """Does the same as ``_of_class`` for one record alone, for which some rules fire."""
        sums: dict[float, float] = {}
        for place in firing:
            value = self._scores.item(place)
            sums[value] = sums.get(value, 0.0) + self._weights.item(place)
        chosen = max((one for one in self.classes if one in sums), key=sums.__getitem__)
        first = next(place for place in firing if self._scores.item(place) == chosen)
        confidences = [sums.get(one, 0.0) / len(firing) for one in self.classes]
        return Single(chosen, None, confidences, [self._ids.item(first)])

    def _of_rule(self, place: Rows) -> Prediction:
        value = self._scores.take(place)
        confidences = (np.array(self.classes)[:, None] == value) * self._sureness.take(place)
        return Prediction(value, None, confidences, self._ids.take(place)[None, :])

    def _of_class(self, fires: Mask) -> Prediction:
        """``weightedSum``: the class of which the firing rules weigh most, on ties the first of the target's.

        Its confidence is the weight of its rules, divided by the number of all firing rules.
        """
        scores = self._scores[:-1]
        of_class = np.array(self.classes)[:, None] == scores
        sums = np.zeros((len(self.classes), fires.shape[1]))
        for score, weight, fire in zip(scores.tolist(), self._weights.tolist(), fires, strict=True):
            sums[self.classes.index(score)] += weight * fire  # in the rules' order, as for one record
        none_fires = ~fires.any(axis=0)
        place = np.full(fires.shape[1], len(scores))
        if len(scores):
            chosen = np.where(of_class @ fires, sums, -np.inf).argmax(axis=0)
            first = (fires & of_class.take(chosen, axis=0).T).argmax(axis=0)
            place = np.where(none_fires, place, first)
        value = self._scores.take(place)
        confidences = sums / np.maximum(fires.sum(axis=0), 1)
        if none_fires.any():
            default = (np.array(self.classes)[:, None] == self._scores[-1]) * self._sureness[-1]
            confidences[:, none_fires] = default
        return Prediction(value, None, confidences, self._ids.take(place)[None, :])

    def _fires(self, batch: Batch) -> Mask:
        """Returns which rules fire, shape (rules, n)."""
        compounds = [one.evaluate(batch)[0] for one in self._rules.compounds]
        made = np.empty((len(self._rules.rules), batch.n), dtype=bool)
        for place, rule in enumerate(self._rules.rules):
            true, _ = rule.predicate.evaluate(batch)
            for condition in rule.conditions:
                true = true & compounds[condition]
            made[place] = true
        return made


def _first_hit(rules: _Rules, context: ModelContext) -> Walk:
    """Returns the walk to the first rule that fires. Its last leaf is for records without one."""
    graph = Graph(context.program)
    labels = [graph.label() for _ in range(len(rules.rules) + 1)]
    for place, rule in enumerate(rules.rules):
        chosen, following = graph.label(), labels[place + 1]
        graph.leaf(chosen)
        label = labels[place]
        for condition in rule.conditions:
            inner = graph.label()
            graph.test(label, rules.compounds[condition], inner, following, following)
            label = inner
        graph.test(label, rule.predicate, chosen, following, following)
    graph.leaf(labels[-1])
    return graph.walk(labels[:1])
