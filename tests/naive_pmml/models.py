"""Models: trees, regressions, and models of models (PMML 4.4: TreeModel, Regression, MultipleModels)."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tests.naive_pmml.expressions import evaluate
from tests.naive_pmml.fields import Dictionary, Record
from tests.naive_pmml.links import class_probabilities, inverse
from tests.naive_pmml.predicates import holds, predicate_of
from tests.naive_pmml.values import Value, equals, read

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["MODELS", "Prediction", "predicted"]

MODELS = ("TreeModel", "RegressionModel", "MiningModel")


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model predicts for one record; ``value`` is None when there is nothing to predict."""

    value: Value = None
    probabilities: dict[Value, float] = field(default_factory=dict)
    outputs: dict[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Model:
    """A model with what its parts need to know: whether it classifies, and how its classes are spelled."""

    element: Element
    dictionary: Dictionary
    classifies: bool
    target_type: str

    def value(self, text: str) -> Value:
        """Returns a predicted value that the document spells."""
        return read(text, self.target_type if self.classifies else "double")


def predicted(element: Element, record: Record, dictionary: Dictionary) -> Prediction:
    """Returns what a model predicts, after its Targets, with its outputs, which ``record`` gets too."""
    derived = {str(one.get("name")): one for one in element.iterfind("LocalTransformations/DerivedField")}
    inner = record.inner(derived)
    classifies = element.get("functionName") == "classification"
    targets = [
        str(mining.get("name"))
        for mining in element.iterfind("MiningSchema/MiningField")
        if mining.get("usageType") in {"target", "predicted"}
    ]
    data_type = dictionary.type_of(targets[0]) if targets else ("string" if classifies else "double")
    model = _Model(element, dictionary, classifies, data_type)
    made = {"TreeModel": _tree, "RegressionModel": _regression, "MiningModel": _mining}[element.tag](
        model, inner
    )
    value = made.value
    if isinstance(value, float) and math.isnan(value):
        value = None
    target = element.find("Targets/Target")
    if target is not None and not classifies:
        value = _rescaled(target, value)
    made = replace(made, value=value)
    for output in element.iterfind("Output/OutputField"):
        name = str(output.get("name"))
        made.outputs[name] = record.values[name] = inner.values[name] = _output(output, made, inner)
        record.types[name] = inner.types[name] = str(output.get("dataType"))
    return made


def _output(output: Element, made: Prediction, record: Record) -> Value:
    feature = output.get("feature", "predictedValue")
    if feature == "predictedValue":
        return made.value
    if feature == "probability":
        if made.value is None:
            return None
        return next(
            (share for one, share in made.probabilities.items() if equals(one, output.attrib["value"])), 0.0
        )
    return {"transformedValue": evaluate}[feature](next(iter(output)), record)


def _rescaled(target: Element, value: Value) -> Value:
    if value is None:
        default = target.find("TargetValue")
        if default is None:
            return None
        value = float(default.attrib["defaultValue"])
    number = float(value)
    number = min(max(number, float(target.get("min", "-inf"))), float(target.get("max", "inf")))
    number = number * float(target.get("rescaleFactor", "1")) + float(target.get("rescaleConstant", "0"))
    cast = target.get("castInteger")
    if cast is None:
        return number
    return float(
        {"round": lambda one: math.floor(one + 0.5), "ceiling": math.ceil, "floor": math.floor}[cast](number)
    )


def _winner(scores: dict[Value, float]) -> Value:
    """Returns the class with the greatest score, the first one on ties; None if it has none above 0."""
    if not scores or any(math.isnan(score) for score in scores.values()):
        return None
    greatest = max(scores.values())
    return next(one for one, score in scores.items() if score == greatest) if greatest > 0 else None


def _tree(model: _Model, record: Record) -> Prediction:
    root = next(model.element.iterfind("Node"))
    truth = holds(predicate_of(root), record)
    if truth is not True:
        return Prediction()
    return _node(root, model, record)


def _node(node: Element, model: _Model, record: Record) -> Prediction:
    strategy = model.element.get("missingValueStrategy", "none")
    children = node.findall("Node")
    if not children:
        return _says(node, model)
    for child in children:
        truth = holds(predicate_of(child), record)
        if truth is True:
            return _node(child, model, record)
        if truth is None and strategy != "none":
            if strategy == "nullPrediction":
                return Prediction()
            if strategy == "lastPrediction":
                return _says(node, model)
            chosen = {"defaultChild": node.get("defaultChild")}[strategy]
            return _node(next(one for one in children if one.get("id") == chosen), model, record)
    if model.element.get("noTrueChildStrategy", "returnNullPrediction") == "returnLastPrediction":
        return _says(node, model)
    return Prediction()


def _says(node: Element, model: _Model) -> Prediction:
    shares = node.findall("ScoreDistribution")
    total = sum(float(one.attrib["recordCount"]) for one in shares)
    probabilities = {
        model.value(one.attrib["value"]): float(
            one.get("probability", float(one.attrib["recordCount"]) / total)
        )
        for one in shares
    }
    score = node.get("score")
    if score is None:
        return Prediction(_winner(probabilities), probabilities)
    return Prediction(model.value(score), probabilities)


def _regression(model: _Model, record: Record) -> Prediction:
    method = model.element.get("normalizationMethod", "none")
    tables = model.element.findall("RegressionTable")
    scores = [_equation(table, record) for table in tables]
    if any(score is None for score in scores):
        return Prediction()
    numbers = [score for score in scores if score is not None]
    if not model.classifies:
        return Prediction(inverse(numbers[0], method))
    classes = [model.value(table.attrib["targetCategory"]) for table in tables]
    shares = dict(zip(classes, class_probabilities(numbers, method), strict=True))
    return Prediction(_winner(shares), shares)


def _equation(table: Element, record: Record) -> float | None:
    terms: list[float | None] = [float(table.attrib["intercept"])]
    for part in table:
        coefficient = float(part.attrib["coefficient"])
        if part.tag == "CategoricalPredictor":
            name = part.attrib["name"]
            value = record.value(name)
            is_it = value is not None and equals(value, read(part.attrib["value"], record.type_of(name)))
            terms.append(coefficient if is_it else 0.0)
            continue
        factors = (
            [part.attrib["name"]] if part.tag == "NumericPredictor" else [one.attrib["field"] for one in part]
        )
        values = [record.value(name) for name in factors]
        power = int(part.get("exponent", "1"))
        product = None if None in values else math.prod(float(value or 0) for value in values) ** power
        terms.append(None if product is None else coefficient * product)
    return None if None in terms else math.fsum(term or 0.0 for term in terms)


def _mining(model: _Model, record: Record) -> Prediction:
    segmentation = next(model.element.iterfind("Segmentation"))
    method = segmentation.attrib["multipleModelMethod"]
    found: list[tuple[Prediction, float]] = []
    for segment in segmentation.iterfind("Segment"):
        if holds(predicate_of(segment), record) is not True:
            continue
        inside = next(part for part in segment if part.tag in MODELS)
        made = predicted(inside, record, model.dictionary)
        found.append((replace(made, outputs={}), float(segment.get("weight", "1"))))
        if method == "selectFirst":
            break
    if not found:
        return Prediction()
    if method in {"selectFirst", "modelChain"}:
        return found[-1][0]
    present = [(made, weight) for made, weight in found if made.value is not None]
    missing = segmentation.get("missingPredictionTreatment")
    if not present or (len(present) < len(found) and missing == "returnMissing"):
        return Prediction()
    if len(present) < len(found) and missing != "skipSegment":
        raise KeyError(f"missingPredictionTreatment {missing}")
    found = present
    weighted = method.startswith("weighted")
    weights = [weight if weighted else 1.0 for _, weight in found]
    if not model.classifies:
        values = [float(made.value or 0) for made, _ in found]
        return Prediction(_NUMBERS[method](values, weights))
    scores = _of_classes(method, [made for made, _ in found], weights)
    return Prediction(_winner(scores), scores)


def _of_classes(method: str, found: Sequence[Prediction], weights: Sequence[float]) -> dict[Value, float]:
    total = sum(weights)
    scores: dict[Value, float] = {}
    for made, weight in zip(found, weights, strict=True):
        if method in {"majorityVote", "weightedMajorityVote"}:
            given: Iterable[tuple[Value, float]] = [(made.value, 1.0)]
        else:
            given = {"average": made.probabilities, "weightedAverage": made.probabilities}[method].items()
        for one, share in given:
            scores[one] = scores.get(one, 0.0) + share * weight / total
    return scores


def _products(values: Sequence[float], weights: Sequence[float]) -> float:
    return math.fsum(value * weight for value, weight in zip(values, weights, strict=True))


_NUMBERS: dict[str, Callable[[Sequence[float], Sequence[float]], float]] = {
    "average": lambda values, _: statistics.fmean(values),
    "sum": lambda values, _: math.fsum(values),
    "median": lambda values, _: statistics.median(values),
    "max": lambda values, _: max(values),
    "weightedAverage": lambda values, weights: _products(values, weights) / math.fsum(weights),
    "weightedSum": _products,
}
"""How the numbers of segments become one."""
