"""GeneralRegressionModel: generalized linear, multinomial, ordinal and Cox models (PMML 4.4).

The standard does not say what a factor without a value stands for; here, as in JPMML, the record then has no
result. A category that the model does not name counts as its reference category.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.models.hazards import read_hazard
from model_serving.engines.pmml.evaluator.models.linear import LinearSums, numeric_field
from model_serving.engines.pmml.evaluator.models.links import SOFTMAX, binary, cumulative, inverse_link
from model_serving.engines.pmml.evaluator.models.parameters import PARAMETER_LISTS, read_parameters
from model_serving.engines.pmml.evaluator.prediction import (
    ModelContext,
    Prediction,
    Single,
    WithoutClasses,
    WithoutEntities,
    winner,
    winner_of_one,
)
from model_serving.engines.pmml.evaluator.reading import (
    MODEL_ATTRIBUTES,
    MODEL_PARTS,
    Unsupported,
    children,
    choice,
    number,
    optional_number,
)

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.batch import Batch
    from model_serving.engines.pmml.evaluator.data_types import Kind
    from model_serving.engines.pmml.evaluator.models.hazards import Hazard
    from model_serving.engines.pmml.evaluator.models.linear import Term
    from model_serving.engines.pmml.evaluator.models.links import Link
    from model_serving.engines.pmml.evaluator.models.parameters import Parameters
    from model_serving.engines.pmml.evaluator.record import Record
    from model_serving.engines.pmml.evaluator.scope import Field, Scope
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["ClassModel", "NumberModel", "compile_model"]

_ATTRIBUTES = MODEL_ATTRIBUTES | {
    "modelType",
    "targetVariableName",
    "targetReferenceCategory",
    "cumulativeLink",
    "linkFunction",
    "linkParameter",
    "trialsVariable",
    "trialsValue",
    "distribution",
    "distParameter",
    "offsetVariable",
    "offsetValue",
    "modelDF",
    "endTimeVariable",
    "startTimeVariable",
    "subjectIDVariable",
    "statusVariable",
    "baselineStrataVariable",
}
_PARTS = {*MODEL_PARTS, *PARAMETER_LISTS, "EventValues", "BaseCumHazardTables"}
_OF_NUMBERS = ("regression", "generalLinear", "logLinear", "generalizedLinear", "CoxRegression")
_OF_CLASSES = ("generalizedLinear", "multinomialLogistic", "ordinalMultinomial")
_LINKS = (
    "cloglog",
    "identity",
    "log",
    "logc",
    "logit",
    "loglog",
    "negbin",
    "oddspower",
    "power",
    "probit",
)
_WITH_OFFSET = frozenset({"generalizedLinear", "ordinalMultinomial"})


def compile_model(element: Element, context: ModelContext) -> NumberModel | ClassModel:
    """Reads a GeneralRegressionModel.

    Raises:
        Unsupported: a part of it is not known.
    """
    context.needs("regression", "classification")
    parts = children(element, _ATTRIBUTES, _PARTS)
    kinds = _OF_CLASSES if context.classifies else _OF_NUMBERS
    model_type = choice(element, "modelType", kinds, None)
    parameters = read_parameters(parts, context.scope)
    offset = _Given.read(element, "offset", context.scope, 0.0)
    if model_type not in _WITH_OFFSET and not offset.is_plain:
        raise Unsupported(f"an offset in a GeneralRegressionModel of modelType '{model_type}'")
    if context.classifies:
        return _of_classes(element, context, model_type, parameters, offset)
    if set(parameters.betas) != {None}:
        raise Unsupported("PCell with targetCategory in a GeneralRegressionModel for regression")
    sums = _sums([parameters.sum_for(None, None)], parameters, context)
    hazard = read_hazard(element, parts, context.scope) if model_type == "CoxRegression" else None
    trials = _Given.read(element, "trials", context.scope, 1.0)
    link = "log" if model_type == "logLinear" else "identity"
    change = _link(element) if model_type == "generalizedLinear" else inverse_link(link)
    reference = parameters.reference if hazard is not None else 0.0
    return NumberModel(context.number_kind, sums, change, offset, trials, reference, hazard)


def _of_classes(
    element: Element, context: ModelContext, model_type: str, parameters: Parameters, offset: _Given
) -> ClassModel:
    """Reads a model of classes. The class without coefficients, the reference, is the last one."""
    texts = _categories(element, context, parameters)
    target = context.target
    if model_type == "generalizedLinear" and len(texts) != 2:
        raise Unsupported(
            f"a GeneralRegressionModel of modelType 'generalizedLinear' with {len(texts)} classes"
        )
    sums: list[tuple[float, dict[Term, float]]] = []
    for place, text in enumerate(texts):
        own = text if text in parameters.betas else None
        if place == len(texts) - 1 and own is None:
            sums.append((0.0, {}))  # by convention, the coefficients of the reference category are zero
            continue
        intercept, terms = parameters.sum_for(text, own)
        if model_type == "ordinalMultinomial" and own is not None:
            common, more = parameters.sum_for(text, None)
            intercept, terms = intercept + common, {**terms, **more}
        elif own is None and len(texts) != 2:
            raise Unsupported(f"the class '{text}' without a PCell in a GeneralRegressionModel")
        sums.append((intercept, terms))
    if model_type == "generalizedLinear":
        change = binary(_link(element))
    elif model_type == "ordinalMultinomial":
        names = ("logit", "probit", "cloglog", "loglog", "cauchit")
        change = cumulative(inverse_link(choice(element, "cumulativeLink", names, "logit")))
    else:
        change = SOFTMAX
    classes = tuple(target.class_value(text) for text in texts)
    if len(set(classes)) < len(classes):
        raise Unsupported("a GeneralRegressionModel with two names for one class")
    return ClassModel(target.kind, _sums(sums, parameters, context), change, offset, classes)


def _categories(element: Element, context: ModelContext, parameters: Parameters) -> list[str]:
    """Returns the classes as the model spells them, the reference category last."""
    target = context.target
    found = [text for text in parameters.betas if text is not None]
    values = {target.class_value(text): text for text in found}
    reference = element.get("targetReferenceCategory")
    if reference is not None:
        values.setdefault(target.class_value(reference), reference)
        reference = values[target.class_value(reference)]
    for value in target.values:
        values.setdefault(value, target.labels[value])
    ordered = [values[value] for value in target.values] if target.values else list(values.values())
    ordered += [text for text in values.values() if text not in ordered]
    if reference is None:
        without = [text for text in ordered if text not in parameters.betas]
        if len(without) == 1 and found:
            reference = without[0]
        elif len(ordered) == 2 and not found:
            raise Unsupported(
                "a GeneralRegressionModel for two classes that does not say which one it is for"
            )
    if reference is not None:
        ordered.remove(reference)
        ordered.append(reference)
    return ordered


def _sums(
    sums: list[tuple[float, dict[Term, float]]], parameters: Parameters, context: ModelContext
) -> LinearSums:
    used = {field for _, terms in sums for term in terms for field, _ in (*term.categories, *term.contrasts)}
    needed = [field for field in parameters.factors if field in used]
    return LinearSums([one[0] for one in sums], [one[1] for one in sums], needed, single=context.single)


def _link(element: Element) -> Link:
    link = choice(element, "linkFunction", _LINKS, "identity")
    return inverse_link(
        link, optional_number(element, "distParameter" if link == "negbin" else "linkParameter")
    )


@dataclass(frozen=True, slots=True)
class _Given:
    """A number that the document gives, or a field that has it."""

    value: float
    field: Field | None

    @classmethod
    def read(cls, element: Element, name: str, scope: Scope, default: float) -> _Given:
        """Reads the attributes ``<name>Variable`` and ``<name>Value``."""
        variable = element.get(f"{name}Variable")
        field = None if variable is None else numeric_field(scope, variable, f"{name}Variable")
        return cls(number(element, f"{name}Value", default), field)

    @property
    def is_plain(self) -> bool:
        """Whether the document gives neither."""
        return self.field is None and self.value == 0.0

    def of(self, batch: Batch) -> Numbers | float:
        """Returns the number for every record."""
        return self.value if self.field is None else batch.value(self.field)

    def one(self, record: Record) -> float:
        """Returns the number for one record alone (raises as ``Expression.one``)."""
        return self.value if self.field is None else self.field.one(record)


@dataclass(frozen=True, slots=True)
class NumberModel(WithoutClasses, WithoutEntities):
    """Implements ``Predictor`` for regression; with a ``hazard``, it predicts the cumulative hazard."""

    kind: Kind
    sums: LinearSums
    change: Link
    offset: _Given
    trials: _Given
    reference: float
    hazard: Hazard | None

    def predict(self, batch: Batch) -> Prediction:
        """See ``Predictor.predict``."""
        score = self.sums.values(batch)[0].astype(np.float64, copy=False)
        if self.hazard is not None:
            return Prediction(self.hazard.cumulative(batch, score - self.reference))
        made = self.change.of_batch(score + self.offset.of(batch))
        return Prediction(np.asarray(made * self.trials.of(batch)))

    def predict_one(self, record: Record) -> Single:
        """See ``Predictor.predict_one``."""
        if not self.sums.is_plain:
            return Single.of(record.of_batch(self.predict))
        (score,) = self.sums.one(record)
        if self.hazard is not None:
            return Single(self.hazard.cumulative_of_one(record, score - self.reference))
        (made,) = self.change.of_one([score + self.offset.one(record)])
        return Single(made * self.trials.one(record))


@dataclass(frozen=True, slots=True)
class ClassModel(WithoutEntities):
    """Implements ``Predictor`` for classification."""

    kind: Kind
    sums: LinearSums
    normalized: Link
    offset: _Given
    classes: tuple[float, ...]

    def predict(self, batch: Batch) -> Prediction:
        """See ``Predictor.predict``."""
        scores = self.sums.values(batch).astype(np.float64, copy=False)
        if not self.offset.is_plain:
            scores = scores + self.offset.of(batch)
        probabilities = self.normalized.of_batch(scores)
        return Prediction(winner(probabilities, self.classes), probabilities)

    def predict_one(self, record: Record) -> Single:
        """See ``Predictor.predict_one``."""
        if not self.sums.is_plain:
            return Single.of(record.of_batch(self.predict))
        scores = self.sums.one(record)
        if not self.offset.is_plain:
            offset = self.offset.one(record)
            scores = [score + offset for score in scores]
        probabilities = self.normalized.of_one(scores)
        return Single(winner_of_one(probabilities, self.classes), probabilities)
