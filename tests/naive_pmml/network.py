"""Bayesian networks by enumeration of all values of all nodes (PMML 4.4: Bayesian Network)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import product
from typing import TYPE_CHECKING

from tests.naive_pmml.expressions import evaluate
from tests.naive_pmml.fields import Record
from tests.naive_pmml.values import Value

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["posterior"]


def posterior(model: Element, given: Mapping[str, Value], target: str) -> dict[Value, float] | float | None:
    """Returns the probabilities of a discrete target or the mean of a continuous one; None if it has none."""
    nodes = list(model.find("BayesianNetworkNodes") or [])
    domains = {
        str(node.get("name")): list(
            dict.fromkeys(str(one.get("value")) for one in node.iter("ValueProbability"))
        )
        for node in nodes
        if node.tag == "DiscreteNode"
    }
    known = {name: value for name, value in given.items() if value is not None and name != target}
    choices = [[known[name]] if name in known else domain for name, domain in domains.items()]
    sums: dict[Value, float] = {}
    whole, moment = 0.0, 0.0
    for combination in product(*choices):
        values: dict[str, Value] = {**known, **dict(zip(domains, combination, strict=True))}
        weight = math.prod(_share(node, values) for node in nodes if node.get("name") in values)
        whole += weight
        if target in domains:
            sums[values[target]] = sums.get(values[target], 0.0) + weight
        else:
            node = next(one for one in nodes if one.get("name") == target)
            moment += weight * _mean(node, values)
    if not whole > 0.0:
        return None
    return {value: share / whole for value, share in sums.items()} if target in domains else moment / whole


def _table(node: Element, values: Mapping[str, Value]) -> Element:
    for row in node:
        parents = row.findall("ParentValue")
        if parents and all(values[str(one.get("parent"))] == one.get("value") for one in parents):
            return row
    return node


def _share(node: Element, values: Mapping[str, Value]) -> float:
    table, value = _table(node, values), values[str(node.get("name"))]
    if node.tag == "DiscreteNode":
        found = [one for one in table.findall("ValueProbability") if one.get("value") == value]
        return float(found[0].attrib["probability"]) if found else 0.0
    kind, first, second = _parameters(table, values)
    number = float(str(value))
    if kind == "UniformDistributionForBN":
        return 1 / (second - first) if first <= number <= second else 0.0
    return math.exp(-((number - first) ** 2) / (2 * second)) / math.sqrt(2 * math.pi * second)


def _mean(node: Element, values: Mapping[str, Value]) -> float:
    kind, first, second = _parameters(_table(node, values), values)
    return (first + second) / 2 if kind == "UniformDistributionForBN" else first


def _parameters(table: Element, values: Mapping[str, Value]) -> tuple[str, float, float]:
    distribution = next(iter(table.find("ContinuousDistribution") or []))
    record = Record(values, {}, {})
    first, second = (float(str(evaluate(part[0], record))) for part in distribution)
    return distribution.tag, first, second
