"""The Output of a model: fields that are computed from its prediction, each visible to those after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

import numpy as np

from model_serving.engines.pmml.evaluator.data_types import (
    DOUBLE,
    OPTYPES,
    STRING,
    Kind,
    converted,
    read_kind,
)
from model_serving.engines.pmml.evaluator.expressions.compiler import compile_expression
from model_serving.engines.pmml.evaluator.prediction import OutputField
from model_serving.engines.pmml.evaluator.reading import (
    NOTHING,
    Unsupported,
    children,
    flag,
    required,
    whole_number,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from model_serving.engines.pmml.evaluator.batch import Batch
    from model_serving.engines.pmml.evaluator.prediction import ModelNode, Prediction
    from model_serving.engines.pmml.evaluator.scope import Expression, Scope
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["most_ranks", "read_outputs"]

_ATTRIBUTES = frozenset(
    {
        "name",
        "displayName",
        "optype",
        "dataType",
        "targetField",
        "feature",
        "value",
        "ruleFeature",
        "algorithm",
        "rank",
        "rankBasis",
        "rankOrder",
        "isMultiValued",
        "segmentId",
        "isFinalResult",
    }
)
_BEST = ("entityId", "clusterId", "ruleId", "ruleValue")
_AFFINITIES = ("affinity", "entityAffinity", "clusterAffinity")
_RANKED = frozenset({*_BEST, *_AFFINITIES, "reasonCode"})
_EXPRESSIONS = frozenset(
    {
        "Constant",
        "FieldRef",
        "NormContinuous",
        "NormDiscrete",
        "Discretize",
        "MapValues",
        "TextIndex",
        "Apply",
        "Aggregate",
        "Lag",
    }
)


def most_ranks(output: Element | None) -> int:
    """Returns how many of the best entities or reasons the OutputFields ask for, 0 if they ask for none."""
    if output is None:
        return 0
    return max(
        (whole_number(field, "rank", 1) for field in output if field.get("feature") in _RANKED), default=0
    )


def read_outputs(
    output: Element | None, node: ModelNode, scope: Scope, segments: dict[str, ModelNode]
) -> None:
    """Reads the OutputFields into ``node.outputs`` and declares them in ``scope``.

    Args:
        output: the ``Output`` element, None when the model has none.
        node: the model whose output it is.
        scope: where the fields are visible.
        segments: the models of the segments by the segment's id, for fields with ``segmentId``.

    Raises:
        Unsupported: a part is not known.
    """
    if output is None:
        return
    for element in children(output, NOTHING, ("OutputField",)):
        parts = children(element, _ATTRIBUTES, {"Decisions", "Value", *_EXPRESSIONS})
        node.outputs.append(_read(element, parts, node, scope, segments))
        scope.declare(node.outputs[-1].field)


def _read(
    element: Element,
    parts: list[Element],
    node: ModelNode,
    scope: Scope,
    segments: dict[str, ModelNode],
) -> OutputField:
    feature = element.get("feature", "predictedValue")
    name = required(element, "name")
    segment = element.get("segmentId")
    if segment is not None:
        if segment not in segments:
            raise Unsupported(f"segmentId '{segment}' of OutputField '{name}', which is not a segment's id")
        node = segments[segment]
    made, class_value = _of_feature(feature, element, parts, node, scope)
    kind = _kind(element, made.kind)
    expression: Expression = made if kind.data_type == made.kind.data_type else _Cast(kind, made)
    is_final = flag(element, "isFinalResult", default=True)
    field = scope.program.field(name, kind, expression)
    return OutputField(field, feature, is_final, class_value)


def _kind(element: Element, made: Kind) -> Kind:
    """Returns the type of an output. A wrong ``optype`` changes no value, so it does not matter."""
    if element.get("optype", "continuous") not in OPTYPES:
        known = {name: value for name, value in element.attrib.items() if name != "optype"}
        element = Element(element.tag, known)
    return read_kind(element, made)


def _of_feature(
    feature: str, element: Element, parts: list[Element], node: ModelNode, scope: Scope
) -> tuple[Expression, float | None]:
    """Returns the expression of an output, and the class that it is about."""
    kind = node.predictor.kind
    if feature == "predictedValue":
        return _predicted(element, node), None
    if feature == "predictedDisplayValue":
        return _Displayed(node), None
    if feature in {"probability", "confidence"}:
        return _share(feature, element, node)
    if feature in _BEST:
        rank = whole_number(element, "rank", 1)
        return _Of(STRING, node, lambda found: _row(found.entities, rank - 1, found)), None
    if feature in _AFFINITIES:
        return _affinity(element, node), None
    if feature == "reasonCode":
        rank = whole_number(element, "rank", 1)
        return _Of(STRING, node, lambda found: _row(found.reasons, rank - 1, found)), None
    if feature in {"transformedValue", "decision"}:
        expressions = [part for part in parts if part.tag in _EXPRESSIONS]
        if not expressions and feature == "transformedValue" and element.get("segmentId"):
            return _predicted(element, node), None
        if len(expressions) != 1:
            raise Unsupported(f"OutputField '{element.get('name')}' of {feature} without one expression")
        return compile_expression(expressions[0], scope), None
    if feature in {"standardError", "standardDeviation"}:
        return _Of(DOUBLE, node, lambda found: found.more.get(feature, _nothing(found))), None
    if feature == "residual":
        return _residual(node, scope), None
    if feature == "warning":
        scope.program.warn(f"the output '{element.get('name')}' (feature warning) is always empty")
        return _Of(STRING, node, _nothing), None
    raise Unsupported(f"feature '{feature}' of OutputField '{element.get('name')}' of type {kind.data_type}")


def _predicted(element: Element, node: ModelNode) -> Expression:
    target = element.get("targetField")
    if target in {None, "", node.target.name}:
        return _Of(node.predictor.kind, node, lambda found: found.value)
    name = str(target)
    found = node.scope.find(name)
    kind = DOUBLE if found is None else found.kind  # a target that only the model knows
    return _Of(kind, node, lambda one: one.more.get(name, _nothing(one)))


def _share(feature: str, element: Element, node: ModelNode) -> tuple[Expression, float | None]:
    classes = node.predictor.classes

    def rows(found: Prediction) -> Numbers | None:
        return found.probabilities if feature == "probability" else found.confidences

    text = element.get("value")
    if text is None:
        values = np.array(classes)

        def of_predicted(found: Prediction) -> Numbers:
            some = rows(found)
            if some is None:
                return _nothing(found)
            share: Numbers = np.where(found.value == values[:, None], some, 0.0).sum(axis=0)
            return np.where(np.isnan(found.value), np.nan, share)

        return _Of(DOUBLE, node, of_predicted), None
    value = node.target.class_value(text)
    if value not in classes:
        # A class that the model never names has no share in any answer.
        return _Of(DOUBLE, node, lambda found: np.where(np.isnan(found.value), np.nan, 0.0)), value
    place = classes.index(value)
    return _Of(DOUBLE, node, lambda found: _row(rows(found), place, found)), value


def _affinity(element: Element, node: ModelNode) -> Expression:
    """An affinity: of the entity that ``value`` names, else of the one with this rank."""
    text = element.get("value")
    if text is not None:
        entities = node.predictor.entities
        if text not in entities:
            raise Unsupported(f"value '{text}' of OutputField '{element.get('name')}', which is no entity")
        place = entities.index(text)
        return _Of(DOUBLE, node, lambda found: _row(found.affinities, place, found))
    rank = whole_number(element, "rank", 1)
    return _Of(DOUBLE, node, lambda found: _row(found.ranked_affinities, rank - 1, found))


def _residual(node: ModelNode, scope: Scope) -> Expression:
    field = scope.find(node.target.name) if node.target.name else None
    if field is None:
        return _Of(DOUBLE, node, _nothing)
    return _Residual(node, field)


def _row(rows: Numbers | None, place: int, found: Prediction) -> Numbers:
    return _nothing(found) if rows is None or place >= len(rows) else rows[place]


def _nothing(found: Prediction) -> Numbers:
    return np.full(found.value.shape, np.nan)


@dataclass(frozen=True, slots=True)
class _Of:
    """A value that is read from a prediction."""

    kind: Kind
    node: ModelNode
    read: Callable[[Prediction], Numbers]

    def evaluate(self, batch: Batch) -> Numbers:
        return self.read(batch.prediction(self.node))


@dataclass(frozen=True, slots=True)
class _Cast:
    """A value as another type. What does not spell a value of the type is missing."""

    kind: Kind
    inner: Expression

    def evaluate(self, batch: Batch) -> Numbers:
        return converted(self.inner.evaluate(batch), self.inner.kind, self.kind, batch.texts)[0]


@dataclass(frozen=True, slots=True)
class _Displayed:
    """The predicted value as the document wants it displayed."""

    node: ModelNode

    @property
    def kind(self) -> Kind:
        return STRING

    def evaluate(self, batch: Batch) -> Numbers:
        target = self.node.target
        kind = self.node.predictor.kind
        values = batch.prediction(self.node).value
        as_text, _ = converted(values, kind, STRING, batch.texts)
        shown = {**target.labels, **target.displayed}
        return np.array(
            [
                text if value not in shown else batch.texts.code(shown[value])
                for value, text in zip(values.tolist(), as_text.tolist(), strict=True)
            ]
        )


@dataclass(frozen=True, slots=True)
class _Residual:
    """The expected value less the predicted one (PMML 4.4, Output)."""

    node: ModelNode
    expected: Expression

    @property
    def kind(self) -> Kind:
        return DOUBLE

    def evaluate(self, batch: Batch) -> Numbers:
        expected = self.expected.evaluate(batch)
        found = batch.prediction(self.node)
        if not self.node.predictor.classes or found.probabilities is None:
            return expected - found.value
        # For a classification: 1 for a hit and 0 for a miss, less the probability of the expected class.
        hit = np.where(expected == found.value, 1.0, 0.0)
        values = np.array(self.node.predictor.classes)
        share = np.where(expected == values[:, None], found.probabilities, 0.0).sum(axis=0)
        return np.where(np.isnan(expected), np.nan, hit - share)
