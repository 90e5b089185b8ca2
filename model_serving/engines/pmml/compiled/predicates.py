"""PMML predicates as steps of a graph. A predicate is true, false or, for missing values, unknown.

The rules are PMML4S's (``predicates.scala``). ``and`` is false when one part is false, else unknown when one
part is unknown, else true. ``or`` is true when one part is true, else unknown when one part is unknown, else
false. ``surrogate`` takes the first known part. ``xor`` is not compiled, because PMML4S 1.5.8 always
evaluates it to false.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.compiled.reading import NOTHING, NotCompiled, check

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.compiled.fields import Field, Fields
    from model_serving.engines.pmml.compiled.graph import Graph

__all__ = ["PREDICATES", "Outcomes", "Predicates"]

PREDICATES = frozenset({"SimplePredicate", "CompoundPredicate", "SimpleSetPredicate", "True", "False"})
_SIMPLE = frozenset({"field", "operator", "value"})
_BOTH_WAYS = {"lessOrEqual": "greaterThan", "lessThan": "greaterOrEqual"}
_DEEPEST = 4
"""The greatest depth of nested compound predicates: each level may double the number of steps."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The labels of the graph that follow when a predicate is true, false or unknown."""

    true: int
    false: int
    unknown: int


class Predicates:
    """Adds predicates to a graph."""

    def __init__(self, graph: Graph, fields: Fields) -> None:
        self._graph = graph
        self._fields = fields

    def add(self, element: Element, label: int, to: Outcomes) -> None:
        """Adds a predicate at ``label``.

        Raises:
            NotCompiled: the predicate is not known exactly.
        """
        self._add(element, label, to, 0)

    def add_pair(self, first: Element, second: Element, label: int, to: tuple[int, int, int]) -> bool:
        """Adds one step for two predicates that split a field, ``<=`` and ``>`` or ``<`` and ``>=``.

        Args:
            first: the first predicate.
            second: the second predicate.
            label: the label of the step.
            to: the labels that follow when the first is true, when the second is true, and when both are
                unknown.

        Returns:
            Whether the predicates split a field in this way. If not, nothing was added.
        """
        if first.tag != "SimplePredicate" or second.tag != "SimplePredicate":
            return False
        one, other = first.get("operator", ""), second.get("operator", "")
        if first.get("field") != second.get("field") or first.get("value") != second.get("value"):
            return False
        if _BOTH_WAYS.get(one) == other:
            outcomes = Outcomes(to[0], to[1], to[2])
        elif _BOTH_WAYS.get(other) == one:
            first, outcomes = second, Outcomes(to[1], to[0], to[2])
        else:
            return False
        check(second, _SIMPLE)
        self._add_simple(first, label, outcomes)
        return True

    def _add(self, element: Element, label: int, to: Outcomes, depth: int) -> None:
        if element.tag == "SimplePredicate":
            self._add_simple(element, label, to)
        elif element.tag == "True":
            check(element, NOTHING)
            self._graph.goto(label, to.true)
        elif element.tag == "False":
            check(element, NOTHING)
            self._graph.goto(label, to.false)
        elif element.tag == "SimpleSetPredicate":
            self._add_set(element, label, to)
        else:
            self._add_compound(element, label, to, depth)

    def _add_simple(self, element: Element, label: int, to: Outcomes) -> None:
        check(element, _SIMPLE)
        operator = element.get("operator", "")
        field = self._fields.named(element.get("field"))
        if operator in {"isMissing", "isNotMissing"}:
            known, unknown = (to.false, to.true) if operator == "isMissing" else (to.true, to.false)
            self._graph.step(label, field.column, 0.0, known, known, unknown)
            return
        threshold = field.code(element.get("value", ""))
        if field.codes is None:
            field.numbers.append(threshold)
        if operator == "equal":
            self._add_equal(label, field, threshold, to)
        elif operator == "notEqual":
            self._add_equal(label, field, threshold, Outcomes(to.false, to.true, to.unknown))
        elif field.codes is not None or operator not in {*_BOTH_WAYS, *_BOTH_WAYS.values()}:
            raise NotCompiled(f"the operator {operator} of {field.name}")
        else:
            if operator in {"lessThan", "greaterOrEqual"}:
                threshold = float(np.nextafter(threshold, -np.inf))
            low, high = (to.true, to.false) if operator in _BOTH_WAYS else (to.false, to.true)
            self._graph.step(label, field.column, threshold, low, high, to.unknown)

    def _add_equal(self, label: int, field: Field, value: float, to: Outcomes) -> None:
        """Adds two steps: at most the value, and not at most the next smaller number."""
        below = self._graph.label()
        self._graph.step(label, field.column, value, below, to.false, to.unknown)
        smaller = float(np.nextafter(value, -np.inf))
        self._graph.step(below, field.column, smaller, to.false, to.true, to.unknown)

    def _add_set(self, element: Element, label: int, to: Outcomes) -> None:
        (array,) = check(element, {"field", "booleanOperator"}, ("Array",)) or [element]
        check(array, {"n", "type"})
        field = self._fields.named(element.get("field"))
        operator = element.get("booleanOperator")
        if operator not in {"isIn", "isNotIn"} or array.tag != "Array":
            raise NotCompiled(f"the set operator {operator}")
        if operator == "isNotIn":
            to = Outcomes(to.false, to.true, to.unknown)
        codes = sorted({field.code(text) for text in _words(array)})
        if field.codes is None:
            field.numbers.extend(codes)
        for code in codes:
            following = self._graph.label()
            self._add_equal(label, field, code, Outcomes(to.true, following, to.unknown))
            label = following
        # Nothing is in an empty set, but a missing value is still unknown.
        self._graph.step(label, field.column, 0.0, to.false, to.false, to.unknown)

    def _add_compound(self, element: Element, label: int, to: Outcomes, depth: int) -> None:
        parts = check(element, {"booleanOperator"}, PREDICATES)
        operator = element.get("booleanOperator", "")
        if element.tag != "CompoundPredicate" or depth == _DEEPEST or operator not in _NEXT or not parts:
            raise NotCompiled(f"{element.tag} {operator} with {len(parts)} parts in {depth} others")
        if operator == "surrogate" and depth:
            raise NotCompiled("a surrogate inside of another predicate")
        labels = {(0, 0): label}
        following = partial(_NEXT[operator], to)
        for index, part in enumerate(parts):
            for state in (0, 1):
                if (index, state) in labels:
                    last = index == len(parts) - 1
                    place = partial(self._place, labels, index + 1, following, last=last)
                    outcomes = Outcomes(place(state, True), place(state, False), place(state, None))
                    self._add(part, labels[index, state], outcomes, depth + 1)

    def _place(
        self,
        labels: dict[tuple[int, int], int],
        index: int,
        following: Callable[[int, bool | None, bool], tuple[int, int]],
        state: int,
        outcome: bool | None,
        *,
        last: bool,
    ) -> int:
        """Returns the label that follows, which is created at its first use."""
        state, end = following(state, outcome, last)
        if end >= 0:
            return end
        if (index, state) not in labels:
            labels[index, state] = self._graph.label()
        return labels[index, state]


def _words(array: Element) -> Sequence[str]:
    """Returns the items of an array. Quotes and escapes are refused: PMML4S has its own rules for them."""
    text = array.text or ""
    if len(array) or '"' in text or "\\" in text or array.get("type") not in {"string", "int", "real"}:
        raise NotCompiled("an array with quotes, or of another type")
    return text.split()


# What follows a part of a compound predicate: the state for the next part, and the label to go to when the
# result is decided, else -1. The state of ``and`` and ``or`` is 1 after an unknown part.


def _after_and(to: Outcomes, state: int, outcome: bool | None, last: bool) -> tuple[int, int]:
    if outcome is False:
        return state, to.false
    state = 1 if outcome is None else state
    return state, ((to.unknown if state else to.true) if last else -1)


def _after_or(to: Outcomes, state: int, outcome: bool | None, last: bool) -> tuple[int, int]:
    if outcome is True:
        return state, to.true
    state = 1 if outcome is None else state
    return state, ((to.unknown if state else to.false) if last else -1)


def _after_surrogate(to: Outcomes, state: int, outcome: bool | None, last: bool) -> tuple[int, int]:
    if outcome is None:
        return state, (to.unknown if last else -1)
    return state, (to.true if outcome else to.false)


_NEXT = {"and": _after_and, "or": _after_or, "surrogate": _after_surrogate}
