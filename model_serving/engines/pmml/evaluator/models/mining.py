"""MiningModel: segments with models of any kind, and what becomes of their predictions.

See PMML 4.4, Multiple Models. An ensemble whose segments are all trees is walked as one (module ``forest``).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.models.chains import compile_chain
from model_serving.engines.pmml.evaluator.models.combination import Combination
from model_serving.engines.pmml.evaluator.models.ensembles import Ensemble, FirstSegment
from model_serving.engines.pmml.evaluator.models.forest import compile_forest
from model_serving.engines.pmml.evaluator.models.segments import Segment, read_segments
from model_serving.engines.pmml.evaluator.reading import (
    MODEL_ATTRIBUTES,
    MODEL_PARTS,
    Unsupported,
    children,
    choice,
    number,
    only,
)

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.prediction import ModelContext, Predictor

__all__ = ["compile_model"]

_SEGMENTATION = frozenset(
    {
        "multipleModelMethod",
        "missingPredictionTreatment",
        "missingThreshold",
        "x-missingPredictionTreatment",
        "x-missingThreshold",
    }
)
_CHAINS = ("modelChain", "multiModelChain")
_VOTES = ("majorityVote", "weightedMajorityVote")
_AVERAGES = ("average", "weightedAverage", "median", "max")
_METHODS = {
    "regression": (*_AVERAGES, "weightedMedian", "sum", "weightedSum"),
    "classification": (*_VOTES, *_AVERAGES),
    "clustering": _VOTES,
}
"""The methods that combine several predictions, by the function of the model."""


def compile_model(element: Element, context: ModelContext) -> Predictor:
    """Reads a MiningModel.

    Raises:
        Unsupported: a part of it is not known, or its method is not for this function.
    """
    segmentation = only(children(element, MODEL_ATTRIBUTES, {*MODEL_PARTS, "Segmentation"}), "Segmentation")
    if segmentation is None:
        raise Unsupported("a MiningModel without a Segmentation")
    parts = children(segmentation, _SEGMENTATION, ("Segment",))
    if not parts:
        raise Unsupported("a Segmentation without a Segment")
    every = (*_CHAINS, "selectFirst", "selectAll", *_VOTES, *_METHODS["regression"])
    method = choice(
        segmentation, "multipleModelMethod", (*every, *(f"x-{one}" for one in every)), None
    ).removeprefix("x-")
    combination = _combination(segmentation, method, context)
    if method in _CHAINS:
        return compile_chain(parts, context, combination)
    if method == "selectAll" and len(parts) > 1:
        raise Unsupported(
            "multipleModelMethod 'selectAll', which gives a record several results",
            "publish each segment as a model of its own, or use another multipleModelMethod",
        )
    if method in {"selectFirst", "selectAll"}:
        return FirstSegment(read_segments(parts, context), context)
    if method not in _METHODS.get(context.function, ()):
        raise Unsupported(f"multipleModelMethod '{method}' of a MiningModel for {context.function}")
    return compile_forest(element, parts, context, combination) or _ensemble(parts, context, combination)


def _ensemble(parts: list[Element], context: ModelContext, combination: Combination) -> Ensemble:
    segments: list[Segment] = read_segments(parts, context)
    weights = np.array([one.weight for one in segments])
    return Ensemble(segments, context, replace(combination, weights=weights))


def _combination(segmentation: Element, method: str, context: ModelContext) -> Combination:
    """Reads how predictions are combined. The weights of the segments are set later."""
    names = ("missingPredictionTreatment", "missingThreshold")
    treatment, threshold = (f"x-{name}" if f"x-{name}" in segmentation.attrib else name for name in names)
    when_missing = choice(segmentation, treatment, ("continue", "returnMissing", "skipSegment"), "continue")
    most = number(segmentation, threshold, 1.0)
    if not 0.0 <= most <= 1.0:
        raise Unsupported(f"missingThreshold {most:g} of Segmentation, which is not between 0 and 1")
    return Combination(method, np.ones(1), when_missing, most, context.single)
