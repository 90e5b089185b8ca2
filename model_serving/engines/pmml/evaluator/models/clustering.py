"""ClusteringModel: each record belongs to the cluster whose center is the nearest (PMML 4.4: Clustering)."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan, nan, sqrt
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.batch import Gather
from model_serving.engines.pmml.evaluator.data_types import STRING, Kind
from model_serving.engines.pmml.evaluator.models.comparison_reading import read_comparison
from model_serving.engines.pmml.evaluator.prediction import (
    ModelContext,
    Prediction,
    Single,
    WithoutClasses,
)
from model_serving.engines.pmml.evaluator.reading import (
    MODEL_ATTRIBUTES,
    MODEL_PARTS,
    Unsupported,
    children,
    choice,
    decimal,
    flag,
    named,
    only,
    real_array,
    single_child,
    text_array,
)
from model_serving.engines.pmml.evaluator.record import Record, Undecided

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.batch import Batch
    from model_serving.engines.pmml.evaluator.models.comparison import Measure
    from model_serving.engines.pmml.evaluator.scope import Field
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["ClusteringModel", "compile_model"]

_FEW = 200
"""Up to this number of coordinates of centers plain Python is faster than numpy."""

_PARTS = ("ComparisonMeasure", "ClusteringField", "MissingValueWeights", "Cluster")


def compile_model(element: Element, context: ModelContext) -> ClusteringModel:
    """Reads a ClusteringModel.

    A cluster without an id has its place among the clusters as its id, from 1 on.

    Raises:
        Unsupported: a part of it is not known.
    """
    context.needs("clustering")
    parts = children(element, MODEL_ATTRIBUTES | {"modelClass", "numberOfClusters"}, {*MODEL_PARTS, *_PARTS})
    if choice(element, "modelClass", ("centerBased", "distributionBased"), None) == "distributionBased":
        raise Unsupported(
            "modelClass 'distributionBased' of ClusteringModel, for which the standard has no way to score"
        )
    # Fields that are not center fields only describe the clusters.
    inputs = [part for part in named(parts, "ClusteringField") if flag(part, "isCenterField", default=True)]
    weights = only(parts, "MissingValueWeights")
    importance = None if weights is None else real_array(single_child(weights, ("Array",)))
    comparison = read_comparison(only(parts, "ComparisonMeasure"), inputs, context.scope, importance)
    clusters = named(parts, "Cluster")
    if not clusters:
        raise Unsupported("a ClusteringModel without a Cluster")
    fields = [one.field for one in comparison.fields]
    centers = np.array([_center(cluster, fields, context) for cluster in clusters]).T
    ids = tuple(cluster.get("id", str(place)) for place, cluster in enumerate(clusters, 1))
    if len(set(ids)) < len(ids):
        raise Unsupported("a ClusteringModel with two Clusters of one id")
    symbols = context.program.symbols
    codes = np.array([symbols.code(one) for one in ids])
    for code, cluster in zip(codes.tolist(), clusters, strict=True):
        if "name" in cluster.attrib:
            context.target.displayed[code] = cluster.attrib["name"]
    ranks = min(context.ranks, len(ids))
    is_plain = comparison.is_euclidean and ranks < 2 and centers.size <= _FEW
    return ClusteringModel(
        comparison.turned(),
        Gather(fields),
        centers,
        ids,
        codes,
        ranks,
        centers.T.tolist() if is_plain else None,
    )


def _square(center: list[float], row: list[float]) -> float:
    """Returns the squared distance, added up in the order of the fields as for a batch."""
    total = 0.0
    for left, right in zip(center, row, strict=True):
        difference = left - right
        total += difference * difference
    return total


def _adjusted_square(center: list[float], row: list[float], importance: list[float]) -> float:
    """Does the same where values are missing; the others count more for them (see ``Measure.between``)."""
    total = present = 0.0
    for left, right, weight in zip(center, row, importance, strict=True):
        difference = left - right
        if difference == difference:
            total += difference * difference
            present += weight
    return total * (sum(importance) / present) if present else nan


def _center(cluster: Element, fields: list[Field], context: ModelContext) -> list[float]:
    parts = children(cluster, {"id", "name", "size"}, ("Array", "KohonenMap", "Covariances"))
    array = only(parts, "Array")
    if array is None:
        raise Unsupported("a Cluster without an Array of its center")
    texts = text_array(array)
    if len(texts) != len(fields):
        raise Unsupported(f"a Cluster whose Array has {len(texts)} values for {len(fields)} fields")
    symbols = context.program.symbols
    try:
        return [
            symbols.code(text) if field.kind.is_text else decimal(text)
            for text, field in zip(texts, fields, strict=True)
        ]
    except ValueError as error:
        raise Unsupported(f"a Cluster whose Array has a value of which {error}") from None


@dataclass(frozen=True, slots=True)
class ClusteringModel(WithoutClasses):
    """Implements ``Predictor``. ``centers`` has shape (fields, clusters), ``codes`` are those of the ids."""

    comparison: Measure
    inputs: Gather
    centers: Numbers
    entities: tuple[str, ...]
    codes: Numbers
    ranks: int
    plain_centers: list[list[float]] | None
    """The centers, if there are few and their distance is a sum of squares; for one record alone."""

    @property
    def kind(self) -> Kind:
        """The predicted value is the id of a cluster, which is text."""
        return STRING

    def predict_one(self, record: Record) -> Single:
        """See ``Predictor.predict_one``."""
        if self.plain_centers is None:
            return Single.of(record.of_batch(self.predict))
        row = self.inputs.row(record)
        distances = [_square(center, row) for center in self.plain_centers]
        if isnan(sum(distances)):
            importance = self.comparison.importance.tolist()
            distances = [_adjusted_square(center, row, importance) for center in self.plain_centers]
            missing = sum(map(isnan, distances))
            if missing == len(distances):
                return Single(nan, entities=[nan], affinities=distances, ranked_affinities=[nan])
            if missing:
                raise Undecided
        best = min(distances)
        code = self.codes.item(distances.index(best))
        if self.comparison.measure == "euclidean":
            distances, best = list(map(sqrt, distances)), sqrt(best)
        return Single(code, entities=[code], affinities=distances, ranked_affinities=[best])

    def predict(self, batch: Batch) -> Prediction:
        """See ``Predictor.predict``. The first cluster wins on ties."""
        affinities = self.comparison.between(self.centers, self.inputs.matrix(batch).T)
        order = affinities if self.comparison.is_distance else -affinities
        # NaN is the least and the first for numpy, so the best affinity is NaN where any is.
        best = order.min(axis=0)
        if self.ranks > 1:
            ranked = order.argsort(axis=0, kind="stable")[: self.ranks]
            ranked_affinities = np.take_along_axis(affinities, ranked, axis=0)
        else:
            ranked = order.argmin(axis=0)[None, :]
            ranked_affinities = (best if self.comparison.is_distance else -best)[None, :]
        entities = self.codes.take(ranked)
        total = np.add.reduce(best)
        if total != total:
            entities[:, np.isnan(best)] = np.nan
        return Prediction(
            entities[0], entities=entities, affinities=affinities, ranked_affinities=ranked_affinities
        )
