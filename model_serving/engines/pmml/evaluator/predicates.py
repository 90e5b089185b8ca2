"""Predicates over fields, with three values: true, false and unknown (PMML 4.4: TreeModel, Predicates).

A comparison with a missing value is unknown. ``compile_predicate`` reads any predicate element; its parts are
public, because a tree turns the simple ones into steps of a graph (see ``models.graph``).
"""

from __future__ import annotations

import operator as operators
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from model_serving.engines.pmml.evaluator.data_types import BOOLEAN, Kind, numeric_reader
from model_serving.engines.pmml.evaluator.reading import (
    NOTHING,
    Unsupported,
    children,
    choice,
    decimal,
    required,
    text_array,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.batch import Batch, Mask
    from model_serving.engines.pmml.evaluator.record import Record
    from model_serving.engines.pmml.evaluator.scope import Field, Scope
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = [
    "ALWAYS",
    "NEVER",
    "PREDICATES",
    "Always",
    "AsField",
    "Comparison",
    "Compound",
    "MissingTest",
    "Predicate",
    "SetTest",
    "TextOrder",
    "compile_predicate",
    "predicate_of",
]

PREDICATES = frozenset({"SimplePredicate", "CompoundPredicate", "SimpleSetPredicate", "True", "False"})
"""The elements that are predicates."""

_SIMPLE = frozenset({"field", "operator", "value"})
_SET = frozenset({"field", "booleanOperator"})
_ORDERS: dict[str, Callable[..., Mask]] = {
    "lessThan": operators.lt,
    "lessOrEqual": operators.le,
    "greaterThan": operators.gt,
    "greaterOrEqual": operators.ge,
}
_EQUALITIES = ("equal", "notEqual")
_MISSING = ("isMissing", "isNotMissing")
_OPERATORS = (*_ORDERS, *_EQUALITIES, *_MISSING)
_DEEPEST = 100
"""The greatest depth of nested compound predicates."""


class Predicate(Protocol):
    """A test of every record of a batch."""

    def evaluate(self, batch: Batch) -> tuple[Mask, Mask]:
        """Returns the records for which it is true, and those for which it is unknown, each of shape (n,)."""
        ...

    def one(self, record: Record) -> bool | None:
        """Returns whether it is true for one record alone, None if unknown (raises as ``Expression.one``)."""
        ...


@dataclass(frozen=True, slots=True)
class Always:
    """The same for every record."""

    truth: bool

    def evaluate(self, batch: Batch) -> tuple[Mask, Mask]:
        """See ``Predicate.evaluate``."""
        return np.full(batch.n, self.truth), np.zeros(batch.n, dtype=bool)

    def one(self, record: Record) -> bool:
        """See ``Predicate.one``."""
        return self.truth


ALWAYS = Always(truth=True)
NEVER = Always(truth=False)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A number compared by order. ``operator`` is PMML's, such as ``lessThan``."""

    field: Field
    operator: str
    value: float

    def evaluate(self, batch: Batch) -> tuple[Mask, Mask]:
        """See ``Predicate.evaluate``."""
        values = batch.value(self.field)
        return _ORDERS[self.operator](values, self.value), np.isnan(values)

    def one(self, record: Record) -> bool | None:
        """See ``Predicate.one``."""
        value = self.field.one(record)
        return bool(_ORDERS[self.operator](value, self.value)) if value == value else None


@dataclass(frozen=True, slots=True)
class MissingTest:
    """Whether the value is missing, or is not. It is never unknown."""

    field: Field
    negated: bool

    def evaluate(self, batch: Batch) -> tuple[Mask, Mask]:
        """See ``Predicate.evaluate``."""
        missing = np.isnan(batch.value(self.field))
        return ~missing if self.negated else missing, np.zeros(batch.n, dtype=bool)

    def one(self, record: Record) -> bool:
        """See ``Predicate.one``."""
        value = self.field.one(record)
        return (value != value) != self.negated


@dataclass(frozen=True, slots=True)
class SetTest:
    """Whether the value is one of some values, which are sorted, or is none of them."""

    field: Field
    values: tuple[float, ...]
    negated: bool = False
    _sorted: Numbers = dataclass_field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_sorted", np.array(self.values, dtype=np.float64))

    def evaluate(self, batch: Batch) -> tuple[Mask, Mask]:
        """See ``Predicate.evaluate``."""
        values = batch.value(self.field)
        unknown = np.isnan(values)
        if not self.values:
            inside = np.zeros(batch.n, dtype=bool)
        elif len(self.values) == 1:
            inside = values == self.values[0]
        else:
            places = self._sorted.searchsorted(values)
            inside = self._sorted.take(places, mode="clip") == values
        return ~(inside | unknown) if self.negated else inside, unknown

    def one(self, record: Record) -> bool | None:
        """See ``Predicate.one``."""
        value = self.field.one(record)
        return (value in self.values) != self.negated if value == value else None


@dataclass(frozen=True, slots=True)
class TextOrder:
    """A text compared with another by the order of their characters, where no order is declared."""

    field: Field
    operator: str
    text: str

    def evaluate(self, batch: Batch) -> tuple[Mask, Mask]:
        """See ``Predicate.evaluate``."""
        compare, other = _ORDERS[self.operator], self.text
        truth = batch.texts.numbers(batch.value(self.field), lambda text: float(compare(text, other)))
        return truth == 1.0, np.isnan(truth)

    def one(self, record: Record) -> bool | None:
        """See ``Predicate.one``."""
        code = self.field.one(record)
        return bool(_ORDERS[self.operator](record.texts.text(code), self.text)) if code == code else None


@dataclass(frozen=True, slots=True)
class Compound:
    """Several predicates: ``and``, ``or``, ``xor``, or the first that is not unknown (``surrogate``)."""

    operator: str
    parts: tuple[Predicate, ...]

    def evaluate(self, batch: Batch) -> tuple[Mask, Mask]:
        """See ``Predicate.evaluate``."""
        true, unknown = self.parts[0].evaluate(batch)
        for part in self.parts[1:]:
            with batch.aside():
                other, other_unknown = part.evaluate(batch)
                failed = batch.failed
            if failed is not None:
                # A part that a record does not need, as those before it have decided, cannot make it fail.
                batch.fail(failed & ~self._decided(true, unknown))
            if self.operator == "surrogate":
                true = true | (unknown & other)
                unknown = unknown & other_unknown
            elif self.operator == "xor":
                unknown = unknown | other_unknown
                true = (true ^ other) & ~unknown
            elif self.operator == "or":
                true = true | other
                unknown = (unknown | other_unknown) & ~true
            else:
                possible = (true | unknown) & (other | other_unknown)
                true = true & other
                unknown = possible & ~true
        return true, unknown

    def one(self, record: Record) -> bool | None:
        """See ``Predicate.one``. A part that is not needed is not computed, so it cannot fail."""
        truth = self.parts[0].one(record)
        for part in self.parts[1:]:
            if self.operator == "xor":
                other = part.one(record)
                truth = None if truth is None or other is None else truth != other
            elif self.operator == "surrogate":
                if truth is not None:
                    return truth
                truth = part.one(record)
            else:
                decisive = self.operator == "or"
                if truth is decisive:
                    return truth
                other = part.one(record)
                if truth is not None or other is decisive:
                    truth = other
        return truth

    def _decided(self, true: Mask, unknown: Mask) -> Mask:
        """Returns the records for which the parts so far tell what the whole is."""
        if self.operator == "surrogate":
            return ~unknown
        if self.operator == "or":
            return true
        return ~(true | unknown) if self.operator == "and" else np.zeros_like(true)


@dataclass(frozen=True, slots=True)
class AsField:
    """A predicate as an expression of type boolean: NaN stands for unknown."""

    predicate: Predicate

    @property
    def kind(self) -> Kind:
        """See ``Expression.kind``."""
        return BOOLEAN

    def evaluate(self, batch: Batch) -> Numbers:
        """See ``Expression.evaluate``."""
        true, unknown = self.predicate.evaluate(batch)
        return np.where(unknown, np.nan, true)

    def one(self, record: Record) -> float:
        """See ``Expression.one``."""
        truth = self.predicate.one(record)
        return np.nan if truth is None else float(truth)


def predicate_of(parts: list[Element], owner: Element, scope: Scope) -> Predicate:
    """Reads the one predicate among the parts of an element.

    Raises:
        Unsupported: there is none or there are several, or a part is not known.
    """
    found = [part for part in parts if part.tag in PREDICATES]
    if len(found) != 1:
        raise Unsupported(f"a {owner.tag} with {len(found)} predicates where one belongs")
    return compile_predicate(found[0], scope)


def compile_predicate(element: Element, scope: Scope) -> Predicate:
    """Reads a predicate.

    Raises:
        Unsupported: a part is not known, a field is not declared, or it nests too deeply.
    """
    return _compile(element, scope, 0)


def _compile(element: Element, scope: Scope, depth: int) -> Predicate:
    if element.tag == "SimplePredicate":
        return _simple(element, scope)
    if element.tag == "SimpleSetPredicate":
        return _set(element, scope)
    if element.tag in {"True", "False"}:
        children(element, NOTHING)
        return ALWAYS if element.tag == "True" else NEVER
    if element.tag != "CompoundPredicate":
        raise Unsupported(f"the predicate {element.tag}")
    if depth == _DEEPEST:
        raise Unsupported(f"more than {_DEEPEST} CompoundPredicates inside of each other")
    operator = choice(element, "booleanOperator", ("and", "or", "xor", "surrogate"), None)
    parts = children(element, {"booleanOperator"}, PREDICATES)
    if not parts:
        raise Unsupported("a CompoundPredicate without predicates")
    return Compound(operator, tuple(_compile(part, scope, depth + 1) for part in parts))


def _simple(element: Element, scope: Scope) -> Predicate:
    children(element, _SIMPLE)
    field = scope.field(element.get("field"))
    operator = choice(element, "operator", _OPERATORS, None)
    if operator in _MISSING:
        return MissingTest(field, operator == "isNotMissing")
    text = required(element, "value")
    if operator in _EQUALITIES:
        return SetTest(field, _values([text], field, scope), operator == "notEqual")
    if field.kind.optype == "ordinal" and field.values:
        return _ordinal(field, operator, text, scope)
    if field.kind.is_text:
        return TextOrder(field, operator, text)
    return Comparison(field, operator, _bound(text, field))


def _set(element: Element, scope: Scope) -> Predicate:
    parts = children(element, _SET, ("Array",))
    if len(parts) != 1:
        raise Unsupported(f"a SimpleSetPredicate with {len(parts)} Arrays")
    field = scope.field(element.get("field"))
    operator = choice(element, "booleanOperator", ("isIn", "isNotIn"), None)
    return SetTest(field, _values(text_array(parts[0]), field, scope), operator == "isNotIn")


def _values(texts: list[str], field: Field, scope: Scope) -> tuple[float, ...]:
    """Returns the values that the texts spell, sorted. A text that spells none of the type is left out."""
    if field.kind.is_text:
        return tuple(sorted({scope.program.symbols.code(text) for text in texts}))
    read = numeric_reader(field.kind.data_type)
    found = set()
    for text in texts:
        try:
            found.add(read(text))
        except ValueError:
            continue
    return tuple(sorted(value for value in found if value == value))


def _bound(text: str, field: Field) -> float:
    """Returns the number that values are compared with.

    A bound of whole numbers may have a fraction. So may a bound of booleans, which are then 0 and 1: R's
    trees split logical columns at 0.5, and JPMML-R writes it so.
    """
    data_type = field.kind.data_type
    if data_type != "integer":
        with suppress(ValueError):
            return numeric_reader(data_type)(text)
    if data_type in {"integer", "boolean"}:
        with suppress(ValueError):
            return decimal(text)
    raise Unsupported(
        f"value '{text}' of a SimplePredicate, which does not spell a value of type {data_type} as the field "
        f"'{field.name}' has"
    )


def _ordinal(field: Field, operator: str, text: str, scope: Scope) -> Predicate:
    """A comparison by the order in which the DataDictionary lists the values.

    A value that is not listed has no place in the order: no comparison with it is true.
    """
    found = _values([text], field, scope)
    if not found or found[0] not in field.values:
        if field.kind.is_text:
            raise Unsupported(f"value '{text}' of a SimplePredicate, which is not a value of '{field.name}'")
        return Comparison(field, operator, _bound(text, field))
    place, compare = field.values.index(found[0]), _ORDERS[operator]
    return SetTest(
        field, tuple(sorted(value for rank, value in enumerate(field.values) if compare(rank, place)))
    )
