"""NaiveBayesModel: counts of categories and distributions of numbers by class (PMML 4.4: Naive Bayes).

Likelihoods are added up as logarithms, so that those of many inputs do not vanish. The threshold takes the
place of a likelihood of zero: of a count of zero, and of a density that is below it. Missing values and
categories that the model does not count are left out of the product.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, lgamma, log, pi
from operator import add
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.batch import Gather
from model_serving.engines.pmml.evaluator.data_types import constant
from model_serving.engines.pmml.evaluator.expressions.derived import derived_field
from model_serving.engines.pmml.evaluator.models.linear import numeric_field
from model_serving.engines.pmml.evaluator.models.links import softmax, softmax_of_one
from model_serving.engines.pmml.evaluator.prediction import (
    ModelContext,
    Prediction,
    Single,
    WithoutEntities,
    winner,
    winner_of_one,
)
from model_serving.engines.pmml.evaluator.reading import (
    MODEL_ATTRIBUTES,
    MODEL_PARTS,
    NOTHING,
    Unsupported,
    children,
    named,
    number,
    only,
    required,
)

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.batch import Batch
    from model_serving.engines.pmml.evaluator.data_types import Kind
    from model_serving.engines.pmml.evaluator.record import Record
    from model_serving.engines.pmml.evaluator.scope import Field
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["NaiveBayesModel", "compile_model"]

_PARTS = {*MODEL_PARTS, "BayesInputs", "BayesOutput"}


def compile_model(element: Element, context: ModelContext) -> NaiveBayesModel:
    """Reads a NaiveBayesModel.

    Raises:
        Unsupported: a part of it is not known.
    """
    context.needs("classification")
    parts = children(element, MODEL_ATTRIBUTES | {"threshold"}, _PARTS)
    threshold = number(element, "threshold")
    if not 0.0 <= threshold < np.inf:
        raise Unsupported(f"threshold '{element.get('threshold')}' of NaiveBayesModel")
    inputs, output = only(parts, "BayesInputs"), only(parts, "BayesOutput")
    if inputs is None or output is None:
        raise Unsupported("a NaiveBayesModel without BayesInputs or without BayesOutput")
    found = only(children(output, {"fieldName"}, ("TargetValueCounts",)), "TargetValueCounts")
    counts = {} if found is None else _counts(found, context)
    if not counts or not all(count >= 0.0 for count in counts.values()):
        raise Unsupported("BayesOutput without TargetValueCounts, or with a negative count")
    classes = tuple(counts)
    normals: list[tuple[Field, Numbers]] = []
    poissons: list[_Poisson] = []
    categories: list[_Category] = []
    for part in _inputs(inputs):
        field, table = _field(part, context)
        stats = only(table, "TargetValueStats")
        pairs = named(table, "PairCounts")
        if stats is not None and not pairs:
            _read_stats(
                stats, numeric_field(context.scope, field.name, part.tag), classes, context, normals, poissons
            )
        elif pairs and stats is None:
            categories += _read_pairs(pairs, field, classes, threshold, context)
        else:
            raise Unsupported(f"BayesInput '{field.name}' without one of PairCounts and TargetValueStats")
    floor = log(threshold) if threshold > 0.0 else -np.inf
    return NaiveBayesModel(
        context.target.kind,
        classes,
        np.array([log(count) if count > 0.0 else -np.inf for count in counts.values()]),
        _Normals(normals) if normals else None,
        tuple(poissons),
        _Categories(categories) if categories else None,
        floor,
    )


@dataclass(frozen=True, slots=True)
class NaiveBayesModel(WithoutEntities):
    """Implements ``Predictor``. ``floor`` is the logarithm of the threshold."""

    kind: Kind
    classes: tuple[float, ...]
    priors: Numbers
    normals: _Normals | None
    poissons: tuple[_Poisson, ...]
    categories: _Categories | None
    floor: float

    def predict(self, batch: Batch) -> Prediction:
        """See ``Predictor.predict``."""
        scores = np.repeat(self.priors[:, None], batch.n, axis=1)
        if self.normals is not None:
            scores += self.normals.scores(batch, self.floor)
        for poisson in self.poissons:
            scores += poisson.scores(batch, self.floor)
        if self.categories is not None:
            scores += self.categories.scores(batch)
        probabilities = softmax(scores)
        return Prediction(winner(probabilities, self.classes), probabilities)

    def predict_one(self, record: Record) -> Single:
        """See ``Predictor.predict_one``."""
        scores: list[float] = self.priors.tolist()
        if self.normals is not None:
            self.normals.add_to(scores, record, self.floor)
        for poisson in self.poissons:
            poisson.add_to(scores, record, self.floor)
        if self.categories is not None:
            scores = self.categories.added_to(scores, record)
        probabilities = softmax_of_one(scores)
        return Single(winner_of_one(probabilities, self.classes), probabilities)


class _Normals:
    """Inputs with a normal distribution for each class."""

    __slots__ = ("_constants", "_fields", "_halves", "_means", "_plain")

    def __init__(self, found: list[tuple[Field, Numbers]]) -> None:
        """Takes the fields, each with means and variances, shape (2, classes)."""
        self._fields = Gather([field for field, _ in found])
        table = np.array([numbers for _, numbers in found])
        self._means = np.ascontiguousarray(table[:, 0, :].T)[:, None, :]
        variances = np.ascontiguousarray(table[:, 1, :].T)[:, None, :]
        self._halves = -0.5 / variances
        self._constants = -0.5 * np.log(2.0 * pi * variances)
        numbers = np.stack([self._constants, self._halves, self._means], axis=-1)[:, 0]
        self._plain: list[tuple[Field, list[list[float]]]] = [
            (field, numbers[:, place].tolist()) for place, (field, _) in enumerate(found)
        ]

    def add_to(self, scores: list[float], record: Record, floor: float) -> None:
        """Adds to the score of each class of one record alone (raises as ``Expression.one``)."""
        for field, numbers in self._plain:
            value = field.one(record)
            if value == value:
                for place, (constant, half, mean) in enumerate(numbers):
                    difference = value - mean
                    scores[place] += max(constant + half * (difference * difference), floor)

    def scores(self, batch: Batch, floor: float) -> Numbers:
        """Returns the sums of the logarithms of the densities, shape (classes, n)."""
        values = self._fields.matrix(batch)
        made = self._constants + self._halves * (values - self._means) ** 2
        np.maximum(made, floor, out=made)
        missing = np.isnan(values)
        if missing.any():
            made[:, missing] = 0.0
        return np.asarray(made.sum(axis=2))


@dataclass(frozen=True, slots=True)
class _Poisson:
    """An input with a Poisson distribution for each class; ``means`` has the shape (classes,)."""

    field: Field
    means: Numbers

    def scores(self, batch: Batch, floor: float) -> Numbers:
        values = batch.value(self.field)
        factorials = np.array([lgamma(v + 1.0) if v >= 0.0 else np.inf for v in values.tolist()])
        made = values * np.log(self.means)[:, None] - self.means[:, None] - factorials
        return np.where(np.isnan(values), 0.0, np.maximum(made, floor))

    def add_to(self, scores: list[float], record: Record, floor: float) -> None:
        """Adds to the score of each class of one record alone (raises as ``Expression.one``)."""
        value = self.field.one(record)
        if value == value:
            factorial = lgamma(value + 1.0) if value >= 0.0 else inf
            for place, mean in enumerate(self.means.tolist()):
                scores[place] += max(value * log(mean) - mean - factorial, floor)


@dataclass(frozen=True, slots=True)
class _Category:
    """A category of an input, with the logarithm of its likelihood for each class."""

    field: Field
    value: float
    scores: Numbers


class _Categories:
    """The categories of all inputs that have counts."""

    __slots__ = ("_fields", "_finite", "_impossible", "_plain", "_wanted")

    def __init__(self, categories: list[_Category]) -> None:
        self._fields = Gather([one.field for one in categories])
        self._wanted = np.array([one.value for one in categories])
        scores = np.array([one.scores for one in categories])
        never = np.isneginf(scores)
        self._finite = np.where(never, 0.0, scores)
        self._impossible = never.astype(np.float64) if never.any() else None
        self._plain: dict[Field, dict[float, list[float]]] = {}
        for one, row in zip(categories, scores.tolist(), strict=True):
            self._plain.setdefault(one.field, {})[one.value] = row

    def added_to(self, scores: list[float], record: Record) -> list[float]:
        """Returns scores of one record alone with those of its categories (raises as ``Expression.one``)."""
        for field, table in self._plain.items():
            found = table.get(field.one(record))
            if found is not None:
                scores = list(map(add, scores, found))
        return scores

    def scores(self, batch: Batch) -> Numbers:
        """Returns the sums of the logarithms, shape (classes, n)."""
        chosen = (self._fields.matrix(batch) == self._wanted).astype(np.float64)
        made = chosen @ self._finite
        if self._impossible is not None:
            made[(chosen @ self._impossible) > 0.0] = -np.inf
        return np.asarray(made.T)


def _inputs(element: Element) -> list[Element]:
    """Returns the BayesInputs; before PMML 4.2 those of numbers stood in an Extension."""
    found = children(element, NOTHING, ("BayesInput",))
    for part in element:
        if part.tag == "Extension":
            found += [inner for inner in part if inner.tag == "BayesInput"]
    if not found:
        raise Unsupported("BayesInputs without a BayesInput")
    return found


def _field(element: Element, context: ModelContext) -> tuple[Field, list[Element]]:
    """Returns the field of a BayesInput, which may be made discrete in it, and what else it has."""
    parts = children(element, {"fieldName"}, ("DerivedField", "PairCounts", "TargetValueStats"))
    field = context.scope.field(required(element, "fieldName"))
    derived = only(parts, "DerivedField")
    return (field if derived is None else derived_field(derived, context.scope)), parts


def _counts(element: Element, context: ModelContext) -> dict[float, float]:
    """Returns the counts of TargetValueCounts by class."""
    counts: dict[float, float] = {}
    for part in children(element, NOTHING, ("TargetValueCount",)):
        children(part, {"value", "count"})
        counts[context.target.class_value(required(part, "value"))] = number(part, "count")
    return counts


def _read_pairs(
    pairs: list[Element], field: Field, classes: tuple[float, ...], threshold: float, context: ModelContext
) -> list[_Category]:
    """Returns the categories of an input. A likelihood is a count's share in the counts of its class."""
    table: dict[float, dict[float, float]] = {}
    for part in pairs:
        counts = only(children(part, {"value"}, ("TargetValueCounts",)), "TargetValueCounts")
        if counts is None:
            raise Unsupported("PairCounts without TargetValueCounts")
        value = constant(required(part, "value"), field.kind.data_type, context.program.symbols)
        table[value] = _counts(counts, context)
    sums = {one: sum(counts.get(one, 0.0) for counts in table.values()) for one in classes}

    def score(count: float, one: float) -> float:
        likelihood = count / sums[one] if count > 0.0 else threshold
        return log(likelihood) if likelihood > 0.0 else -np.inf

    return [
        _Category(field, value, np.array([score(counts.get(one, 0.0), one) for one in classes]))
        for value, counts in table.items()
    ]


def _read_stats(
    stats: Element,
    field: Field,
    classes: tuple[float, ...],
    context: ModelContext,
    normals: list[tuple[Field, Numbers]],
    poissons: list[_Poisson],
) -> None:
    """Adds the distributions of an input to those of their kind.

    Raises:
        Unsupported: a class has none, or they are of different kinds.
    """
    found: dict[float, Element] = {}
    for part in children(stats, NOTHING, ("TargetValueStat",)):
        kinds = children(part, {"value"}, ("GaussianDistribution", "PoissonDistribution"))
        if len(kinds) != 1:
            raise Unsupported("TargetValueStat without one GaussianDistribution or PoissonDistribution")
        found[context.target.class_value(required(part, "value"))] = kinds[0]
    tags = {one.tag for one in found.values()}
    if not set(classes) <= found.keys() or len(tags) != 1:
        raise Unsupported(f"TargetValueStats of '{field.name}' without one distribution for each class")
    for one in found.values():
        children(one, {"mean", "variance"})
    means = np.array([number(found[one], "mean") for one in classes])
    if tags == {"PoissonDistribution"}:
        if not (means > 0.0).all():
            raise Unsupported("PoissonDistribution with a mean that is not above 0")
        poissons.append(_Poisson(field, means))
        return
    variances = np.array([number(found[one], "variance") for one in classes])
    if not (variances > 0.0).all():
        raise Unsupported("GaussianDistribution with a variance that is not above 0")
    normals.append((field, np.array([means, variances])))
