"""The nodes of a Bayesian network, read from the document (PMML 4.4: Bayesian Network).

A variable is a discrete node, or another field that decides between the tables of a node, such as a
DerivedField. The latter must be known of each record.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.data_types import constant
from model_serving.engines.pmml.evaluator.expressions.compiler import EXPRESSIONS, compile_expression
from model_serving.engines.pmml.evaluator.expressions.derived import declare_derived_field
from model_serving.engines.pmml.evaluator.reading import (
    NOTHING,
    Unsupported,
    children,
    named,
    number,
    required,
    single_child,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.prediction import ModelContext
    from model_serving.engines.pmml.evaluator.scope import Expression, Field, Scope
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["Continuous", "Discrete", "Distribution", "Network", "Variable", "is_brought"]

_MOST_CELLS = 1_000_000
_KINDS = {
    "NormalDistributionForBN": ("Mean", "Variance"),
    "UniformDistributionForBN": ("Lower", "Upper"),
}


@dataclass(slots=True)
class Variable:
    """A variable. ``values`` gives the places of its values, in the document's order.

    ``field`` is None where no record brings it.
    """

    name: str
    field: Field | None
    is_node: bool
    values: dict[float, int]


@dataclass(frozen=True, slots=True)
class Discrete:
    """A discrete node: ``table`` has an axis for each of ``variables``: its parents, then itself."""

    variables: tuple[int, ...]
    table: Numbers


@dataclass(frozen=True, slots=True)
class Distribution:
    """A normal distribution (mean, variance) or, if ``is_uniform``, a uniform one (lower, upper)."""

    is_uniform: bool
    first: Expression
    second: Expression


@dataclass(frozen=True, slots=True)
class Continuous:
    """A continuous node: a distribution for each combination of the parents' values, the last one fastest."""

    name: str
    field: Field | None
    variables: tuple[int, ...]
    distributions: tuple[Distribution, ...]


@dataclass(slots=True)
class Network:
    """All variables and nodes of a document, without continuous nodes that change no answer."""

    variables: list[Variable] = field(default_factory=list)
    discrete: dict[str, Discrete] = field(default_factory=dict)
    continuous: dict[str, Continuous] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    """The places of the variables by their names."""

    @staticmethod
    def read(nodes: Element, context: ModelContext) -> Network:
        """Reads BayesianNetworkNodes.

        Raises:
            Unsupported: a part of it is not known, or a combination of parents has no probabilities.
        """
        network = Network()
        parts = children(nodes, NOTHING, ("DiscreteNode", "ContinuousNode"))
        for part in named(parts, "DiscreteNode"):
            network._declare_node(part, context)
        for part in parts:
            name = required(part, "name")
            if name in network.discrete or name in network.continuous:
                raise Unsupported(f"two nodes '{name}'")
            if part.tag == "DiscreteNode":
                network.discrete[name] = network._read_discrete(part, context)
            elif name == context.target.name or is_brought(context.scope.find(name)):
                network.continuous[name] = network._read_continuous(part, context)
        return network

    def sizes(self) -> list[int]:
        """Returns how many values each variable has."""
        return [len(variable.values) for variable in self.variables]

    def _declare_node(self, element: Element, context: ModelContext) -> None:
        name = required(element, "name")
        values: dict[float, int] = {}
        for part in element.iter("ValueProbability"):
            values.setdefault(_value(context, name, required(part, "value")), len(values))
        if not values:
            raise Unsupported(f"DiscreteNode '{name}' without ValueProbability")
        self.places[name] = len(self.variables)
        self.variables.append(Variable(name, context.scope.find(name), True, values))

    def _read_discrete(self, element: Element, context: ModelContext) -> Discrete:
        name = required(element, "name")
        parts, scope = _parts(element, context, "DiscreteConditionalProbability", "ValueProbability")
        rows = named(parts, "DiscreteConditionalProbability")
        plain = named(parts, "ValueProbability")
        if bool(rows) == bool(plain):
            raise Unsupported(f"DiscreteNode '{name}' without one of probabilities and conditional ones")
        own = self.places[name]
        if plain:
            return Discrete((own,), self._shares(plain, own, context))
        parents = self._parents(rows, scope, context)
        table = np.full([len(self.variables[one].values) for one in (*parents, own)], np.nan)
        for row in rows:
            inner = children(row, {"count"}, ("ParentValue", "ValueProbability"))
            key = self._key(inner, parents, scope, context)
            if not np.isnan(table[key]).all():
                raise Unsupported(f"DiscreteNode '{name}' with two tables for the same parents' values")
            table[key] = self._shares(named(inner, "ValueProbability"), own, context)
        if np.isnan(table).any():
            raise Unsupported(f"DiscreteNode '{name}' without probabilities for some values of its parents")
        return Discrete((*parents, own), table)

    def _shares(self, elements: list[Element], own: int, context: ModelContext) -> Numbers:
        """Returns the probabilities of a node's values; a value that is not listed has none."""
        variable = self.variables[own]
        made = np.zeros(len(variable.values))
        for part in elements:
            children(part, {"value", "probability"})
            share = number(part, "probability")
            if not 0.0 <= share <= 1.0:
                raise Unsupported(
                    f"probability '{part.get('probability')}' of DiscreteNode '{variable.name}'"
                )
            made[variable.values[_value(context, variable.name, required(part, "value"))]] = share
        return made

    def _read_continuous(self, element: Element, context: ModelContext) -> Continuous:
        name = required(element, "name")
        parts, scope = _parts(element, context, "ContinuousConditionalProbability", "ContinuousDistribution")
        rows = named(parts, "ContinuousConditionalProbability")
        field = context.scope.find(name)
        if not rows:
            return Continuous(name, field, (), (_distribution(parts, name, scope),))
        parents = self._parents(rows, scope, context)
        shape = [len(self.variables[one].values) for one in parents]
        found: dict[tuple[int, ...], Distribution] = {}
        for row in rows:
            inner = children(row, {"count"}, ("ParentValue", "ContinuousDistribution"))
            found[self._key(inner, parents, scope, context)] = _distribution(inner, name, scope)
        if len(found) != prod(shape) or len(found) != len(rows):
            raise Unsupported(
                f"ContinuousNode '{name}' without one distribution for all values of its parents"
            )
        return Continuous(name, field, parents, tuple(found[key] for key in np.ndindex(*shape)))

    def _parents(self, rows: list[Element], scope: Scope, context: ModelContext) -> tuple[int, ...]:
        """Returns the variables that decide between the rows, and adds those that are no nodes."""
        names = [required(part, "parent") for part in named(list(rows[0]), "ParentValue")]
        found = []
        for name in names:
            place = self.places.get(name)
            if place is None:
                field = scope.field(name)
                spelled = [
                    required(part, "value")
                    for row in rows
                    for part in named(list(row), "ParentValue")
                    if part.get("parent") == name
                ]
                symbols = context.program.symbols
                values = dict.fromkeys(constant(text, field.kind.data_type, symbols) for text in spelled)
                # A DerivedField belongs to its node, so another node may have one of the same name.
                place = len(self.variables)
                places = {value: count for count, value in enumerate(values)}
                self.variables.append(Variable(name, field, False, places))
            found.append(place)
        if not found or len(set(names)) != len(names):
            raise Unsupported("conditional probabilities without a ParentValue, or with two of one parent")
        if prod(len(self.variables[one].values) for one in found) > _MOST_CELLS:
            raise Unsupported(f"a node whose parents have more than {_MOST_CELLS:,} combinations of values")
        return tuple(found)

    def _key(
        self, parts: list[Element], parents: tuple[int, ...], scope: Scope, context: ModelContext
    ) -> tuple[int, ...]:
        """Returns the places of the parents' values of a row."""
        given: dict[str, str] = {}
        for part in named(parts, "ParentValue"):
            children(part, {"parent", "value"})
            given[required(part, "parent")] = required(part, "value")
        variables = [self.variables[one] for one in parents]
        if given.keys() != {variable.name for variable in variables}:
            raise Unsupported("conditional probabilities that do not all have the same parents")
        key = []
        for variable in variables:
            text = given[variable.name]
            if variable.is_node:
                value = _value(context, variable.name, text)
            else:
                data_type = scope.field(variable.name).kind.data_type
                value = constant(text, data_type, context.program.symbols)
            if value not in variable.values:
                raise Unsupported(f"ParentValue '{text}' of '{variable.name}', which has no such value")
            key.append(variable.values[value])
        return tuple(key)


def is_brought(field: Field | None) -> bool:
    """Whether records have values of a field: it is an input, or it is made of inputs."""
    return field is not None and (field.column >= 0 or field.expression is not None)


def _parts(element: Element, context: ModelContext, *tags: str) -> tuple[list[Element], Scope]:
    """Returns the parts of a node, and the scope with its DerivedFields."""
    parts = children(element, {"name", "count"}, ("DerivedField", *tags))
    derived = named(parts, "DerivedField")
    if not derived:
        return parts, context.scope
    scope = context.scope.inner()
    for part in derived:
        declare_derived_field(part, scope)
    return parts, scope


def _value(context: ModelContext, name: str, text: str) -> float:
    """Returns a value of a node that the document spells."""
    if name == context.target.name:
        return context.target.class_value(text)
    field = context.scope.find(name)
    # The type of a node that no record brings does not matter: its values only have names.
    return constant(text, "string" if field is None else field.kind.data_type, context.program.symbols)


def _distribution(parts: list[Element], name: str, scope: Scope) -> Distribution:
    found = named(parts, "ContinuousDistribution")
    if len(found) != 1:
        raise Unsupported(f"ContinuousNode '{name}' without one ContinuousDistribution")
    kinds = list(children(found[0], NOTHING, {*_KINDS, *(part.tag for part in found[0])}))
    if len(kinds) != 1 or kinds[0].tag not in _KINDS:
        tags = ", ".join(part.tag for part in kinds)
        raise Unsupported(f"the distribution {tags or 'nothing'} of ContinuousNode '{name}'")
    expressions: Mapping[str, Element] = {
        part.tag: single_child(part, EXPRESSIONS)
        for part in children(kinds[0], NOTHING, _KINDS[kinds[0].tag])
    }
    wanted = _KINDS[kinds[0].tag]
    if set(expressions) != set(wanted):
        raise Unsupported(f"{kinds[0].tag} of ContinuousNode '{name}' without {' and '.join(wanted)}")
    for part in kinds[0].iter():
        other = part.get("field")
        if other is not None and not is_brought(scope.find(other)):
            raise Unsupported(
                f"ContinuousNode '{name}', whose distribution depends on '{other}', which no record brings"
            )
    first, second = (compile_expression(expressions[tag], scope) for tag in wanted)
    return Distribution(kinds[0].tag == "UniformDistributionForBN", first, second)
