"""The Output of a model: fields that are computed from its prediction, each visible to those after it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from model_serving.engines.pmml.evaluator.data_types import (
    DOUBLE,
    OPTYPES,
    STRING,
    Kind,
    read_kind,
)
from model_serving.engines.pmml.evaluator.expressions.compiler import EXPRESSIONS, compile_expression
from model_serving.engines.pmml.evaluator.output_values import (
    Cast,
    Displayed,
    FromPrediction,
    Further,
    Residual,
    ShareOfPredicted,
    ShareOfUnnamed,
)
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
    from model_serving.engines.pmml.evaluator.prediction import ModelNode
    from model_serving.engines.pmml.evaluator.scope import Expression, Scope

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
_TEXT_TYPES = ("string", "date", "time", "dateTime")
_RANKED = frozenset({*_BEST, *_AFFINITIES, "reasonCode"})
_FEATURES = frozenset(
    {
        "predictedValue",
        "predictedDisplayValue",
        "transformedValue",
        "decision",
        "probability",
        "confidence",
        "residual",
        "standardError",
        "standardDeviation",
        *_RANKED,
    }
)


def most_ranks(output: Element | None) -> int:
    """Returns how many of the best entities or reasons the OutputFields ask for, 0 if they ask for none."""
    if output is None:
        return 0
    return max((_rank(field) for field in output if field.get("feature") in _RANKED), default=0)


def _rank(element: Element) -> int:
    rank = whole_number(element, "rank", 1)
    if rank < 1:
        raise Unsupported(f"rank {rank} of OutputField '{element.get('name')}': the first rank is 1")
    return rank


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
        name, feature = required(element, "name"), element.get("feature", "predictedValue")
        if feature not in _FEATURES:
            # The prediction does not depend on it. What does is refused, because its field is not there.
            scope.program.warn(f"the output '{name}' is left out: its feature '{feature}' is not supported")
            continue
        try:
            made = _read(element, node, scope, segments)
        except Unsupported as unsupported:
            if element.get("dataType") not in _TEXT_TYPES:
                raise
            # Only numbers are among the answers, so nobody asks for this output but other fields.
            scope.program.warn(f"the output '{name}' is left out: it has {unsupported}")
            continue
        if any(output.field.name == name for output in node.outputs):
            scope.program.warn(f"the output '{name}' is there more than once: the last one counts")
        node.outputs.append(made)
        scope.declare(made.field)


def _read(
    element: Element,
    node: ModelNode,
    scope: Scope,
    segments: dict[str, ModelNode],
) -> OutputField:
    parts = children(element, _ATTRIBUTES, {"Decisions", "Value", *EXPRESSIONS})
    feature = element.get("feature", "predictedValue")
    name = required(element, "name")
    segment = element.get("segmentId")
    if segment is not None:
        if segment not in segments:
            raise Unsupported(f"segmentId '{segment}' of OutputField '{name}', which is not a segment's id")
        node = segments[segment]
    made, class_value = _of_feature(feature, element, parts, node, scope)
    kind = _kind(element, made.kind)
    expression: Expression = made if kind.data_type == made.kind.data_type else Cast(kind, made)
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
    if feature in {"probability", "confidence"}:
        return _share(feature, element, node)
    if feature in _BEST or feature == "reasonCode":
        return _ranked(feature, element, node), None
    if feature in _AFFINITIES:
        return _affinity(element, node), None
    if feature in {"transformedValue", "decision"}:
        return _transformed(element, parts, node, scope), None
    if feature in {"standardError", "standardDeviation"}:
        return Further(DOUBLE, node, feature), None
    if feature == "residual":
        return _residual(node, scope), None
    if feature == "predictedDisplayValue":
        return Displayed(node), None
    return _predicted(element, node), None


def _ranked(feature: str, element: Element, node: ModelNode) -> Expression:
    place = _rank(element) - 1
    if feature == "reasonCode":
        return FromPrediction(STRING, node, "reasons", place)
    return FromPrediction(STRING, node, "entities", place)


def _transformed(element: Element, parts: list[Element], node: ModelNode, scope: Scope) -> Expression:
    expressions = [part for part in parts if part.tag in EXPRESSIONS]
    if not expressions and element.get("segmentId"):
        return _predicted(element, node)
    if len(expressions) != 1:
        raise Unsupported(f"OutputField '{element.get('name')}' without one expression for its value")
    return compile_expression(expressions[0], scope)


def _predicted(element: Element, node: ModelNode) -> Expression:
    target = element.get("targetField")
    if target in {None, "", node.target.name}:
        return FromPrediction(node.predictor.kind, node)
    name = str(target)
    found = node.scope.find(name)
    kind = DOUBLE if found is None else found.kind  # a target that only the model knows
    return Further(kind, node, name)


def _share(feature: str, element: Element, node: ModelNode) -> tuple[Expression, float | None]:
    classes = node.predictor.classes
    part = "probabilities" if feature == "probability" else "confidences"
    text = element.get("value")
    if text is None:
        return ShareOfPredicted(node, part), None
    value = node.target.class_value(text)
    if value not in classes:
        return ShareOfUnnamed(node), value
    return FromPrediction(DOUBLE, node, part, classes.index(value)), value


def _affinity(element: Element, node: ModelNode) -> Expression:
    """An affinity: of the entity that ``value`` names, else of the one with this rank."""
    text = element.get("value")
    if text is not None:
        entities = node.predictor.entities
        if text not in entities:
            raise Unsupported(f"value '{text}' of OutputField '{element.get('name')}', which is no entity")
        place = entities.index(text)
        return FromPrediction(DOUBLE, node, "affinities", place)
    return FromPrediction(DOUBLE, node, "ranked_affinities", _rank(element) - 1)


def _residual(node: ModelNode, scope: Scope) -> Expression:
    field = scope.find(node.target.name) if node.target.name else None
    if field is None:
        return Further(DOUBLE, node, "residual")  # always missing
    return Residual(node, field)
