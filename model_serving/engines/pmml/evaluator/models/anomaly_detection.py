"""AnomalyDetectionModel: the score of a model inside of it, made comparable (PMML 4.4: Anomaly Detection)."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, nan
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.prediction import (
    ModelContext,
    ModelNode,
    Prediction,
    Single,
    WithoutClasses,
    WithoutEntities,
)
from model_serving.engines.pmml.evaluator.reading import (
    MODEL_ATTRIBUTES,
    MODEL_PARTS,
    NOTHING,
    Unsupported,
    children,
    choice,
    only,
    real_array,
    whole_number,
)

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.batch import Batch
    from model_serving.engines.pmml.evaluator.data_types import Kind
    from model_serving.engines.pmml.evaluator.record import Record
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["AnomalyDetectionModel", "compile_model"]

_ALGORITHMS = ("iforest", "ocsvm", "clusterMeanDist", "other")
_NESTED = frozenset(
    {
        "BaselineModel",
        "ClusteringModel",
        "GaussianProcessModel",
        "GeneralRegressionModel",
        "MiningModel",
        "NaiveBayesModel",
        "NearestNeighborModel",
        "NeuralNetwork",
        "RegressionModel",
        "RuleSetModel",
        "Scorecard",
        "SupportVectorMachineModel",
        "TreeModel",
    }
)
_EULER = 0.5772156649


def compile_model(element: Element, context: ModelContext) -> AnomalyDetectionModel:
    """Reads an AnomalyDetectionModel.

    Raises:
        Unsupported: a part of it is not known.
    """
    context.needs("regression")
    algorithm = choice(element, "algorithmType", _ALGORITHMS, None)
    attributes = MODEL_ATTRIBUTES | {"algorithmType", "sampleDataSize"}
    parts = children(element, attributes, {*MODEL_PARTS, *_NESTED, "MeanClusterDistances"})
    models = [part for part in parts if part.tag in _NESTED]
    if len(models) != 1:
        raise Unsupported("an AnomalyDetectionModel without one model in it")
    depth = 0.0
    if algorithm == "iforest":
        size = whole_number(element, "sampleDataSize")
        if size < 2:
            raise Unsupported(f"sampleDataSize '{size}' of an AnomalyDetectionModel")
        # The mean length of paths that search in vain in a binary tree of as many records.
        depth = 2.0 * (log(size - 1) + _EULER) - 2.0 * (size - 1) / size
    node = context.nested(models[0], context.scope)
    if not node.predictor.kind.is_number and algorithm != "clusterMeanDist":
        raise Unsupported(f"algorithmType '{algorithm}' with a model that predicts no number")
    means = only(parts, "MeanClusterDistances")
    distances = None if means is None else _distances(means)
    if algorithm == "clusterMeanDist" and (
        distances is None or len(distances) != len(node.predictor.entities) or not (distances > 0.0).all()
    ):
        raise Unsupported("algorithmType 'clusterMeanDist' without a MeanClusterDistances for each cluster")
    return AnomalyDetectionModel(context.number_kind, node, algorithm, depth, distances)


def _distances(element: Element) -> Numbers:
    arrays = children(element, NOTHING, ("Array",))
    if len(arrays) != 1:
        raise Unsupported("MeanClusterDistances without one Array")
    return real_array(arrays[0])


@dataclass(frozen=True, slots=True)
class AnomalyDetectionModel(WithoutClasses, WithoutEntities):
    """Implements ``Predictor``.

    An isolation forest predicts lengths of paths, and ``depth`` is their mean. Clusters predict distances,
    and ``distances`` are their means. Other models predict the score itself.
    """

    kind: Kind
    node: ModelNode
    algorithm: str
    depth: float
    distances: Numbers | None

    def predict(self, batch: Batch) -> Prediction:
        """See ``Predictor.predict``."""
        found = batch.prediction(self.node)
        if self.algorithm == "iforest":
            return Prediction(np.asarray(np.exp2(-found.value / self.depth)))
        if self.distances is None or found.affinities is None:
            return Prediction(found.value)
        nearest = found.affinities.argmin(axis=0)
        return Prediction(np.asarray(found.affinities.min(axis=0) / self.distances[nearest]))

    def predict_one(self, record: Record) -> Single:
        """See ``Predictor.predict_one``."""
        found = record.prediction(self.node)
        if self.algorithm == "iforest":
            return Single(2.0 ** (-found.value / self.depth))
        if self.distances is None or found.affinities is None:
            return Single(found.value)
        if any(one != one for one in found.affinities):
            return Single(nan)
        nearest = min(found.affinities)
        return Single(nearest / self.distances.item(found.affinities.index(nearest)))
