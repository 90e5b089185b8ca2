"""NearestNeighborModel: a record is like the training instances that are nearest (PMML 4.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.batch import Gather
from model_serving.engines.pmml.evaluator.data_types import STRING, Kind
from model_serving.engines.pmml.evaluator.models.comparison_reading import read_comparison
from model_serving.engines.pmml.evaluator.models.instances import Instances
from model_serving.engines.pmml.evaluator.models.neighbor_targets import NeighborTarget, read_target
from model_serving.engines.pmml.evaluator.prediction import ModelContext, Prediction, Single
from model_serving.engines.pmml.evaluator.reading import (
    MODEL_ATTRIBUTES,
    MODEL_PARTS,
    NOTHING,
    Unsupported,
    children,
    number,
    only,
    whole_number,
)

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.batch import Batch, Rows
    from model_serving.engines.pmml.evaluator.models.comparison import Measure
    from model_serving.engines.pmml.evaluator.record import Record
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["NearestNeighborModel", "compile_model"]

_ATTRIBUTES = MODEL_ATTRIBUTES | {
    "numberOfNeighbors",
    "continuousScoringMethod",
    "categoricalScoringMethod",
    "instanceIdVariable",
    "threshold",
}
_PARTS = ("TrainingInstances", "ComparisonMeasure", "KNNInputs")
_MOST_PASSES = 50
_FARTHEST, _MISSING = 1e308, 1.5e308
"""What stands for the greatest distances and for a missing one while the nearest instances are chosen."""

_MOST_PAIRS = 1 << 15
"""How many pairs of a record and an instance are compared at a time: few enough for the cache."""


def compile_model(element: Element, context: ModelContext) -> NearestNeighborModel:
    """Reads a NearestNeighborModel.

    Raises:
        Unsupported: a part of it is not known.
    """
    context.needs("regression", "classification", "clustering", "mixed")
    parts = children(element, _ATTRIBUTES, {*MODEL_PARTS, *_PARTS})
    training, inputs = only(parts, "TrainingInstances"), only(parts, "KNNInputs")
    if training is None or inputs is None:
        raise Unsupported("a NearestNeighborModel without TrainingInstances and KNNInputs")
    instances = Instances(training, context.scope)
    comparison = read_comparison(
        only(parts, "ComparisonMeasure"), children(inputs, NOTHING, ("KNNInput",)), context.scope
    )
    id_name = element.get("instanceIdVariable")
    names = context.target_names
    fields = [one.field for one in comparison.fields]
    compared = instances.compared(fields, [*names, *([] if id_name is None else [id_name])])
    ids = _ids(instances, id_name)
    symbols = context.program.symbols
    neighbors = whole_number(element, "numberOfNeighbors")
    if neighbors < 1:
        raise Unsupported(f"numberOfNeighbors {neighbors} of NearestNeighborModel")
    if neighbors > len(instances):
        context.program.warn(
            f"the model asks for {neighbors} neighbors and has {len(instances)} training instances: all count"
        )
    if not names:
        if context.function != "clustering":
            raise Unsupported(f"a NearestNeighborModel for {context.function} without a target")
        neighbors = max(neighbors, context.ranks)
    targets = tuple(read_target(name, element, instances, context) for name in names)
    if not comparison.is_distance and any(target.is_weighted for target in targets):
        raise Unsupported("a weighted scoring method of a NearestNeighborModel with a similarity")
    return NearestNeighborModel(
        comparison,
        Gather(fields),
        compared,
        np.array([symbols.code(one) for one in ids]),
        min(neighbors, len(instances)),
        number(element, "threshold", 0.001),
        targets,
        () if targets else tuple(dict.fromkeys(ids)),
    )


def _ids(instances: Instances, name: str | None) -> list[str]:
    if name is None:
        return [str(place) for place in range(1, len(instances) + 1)]
    found = instances.texts(name)
    if None in found:
        raise Unsupported(f"a training instance without its id '{name}'")
    return [str(one) for one in found]


@dataclass(frozen=True, slots=True, eq=False)
class NearestNeighborModel:
    """Implements ``Predictor``. ``instances`` has shape (fields, instances), ``codes`` stand for the ids."""

    comparison: Measure
    inputs: Gather
    instances: Numbers
    codes: Numbers
    neighbors: int
    threshold: float
    targets: tuple[NeighborTarget, ...]
    entities: tuple[str, ...]

    @property
    def kind(self) -> Kind:
        """The type of the first target; without targets, the id of the nearest instance is predicted."""
        return self.targets[0].kind if self.targets else STRING

    @property
    def classes(self) -> tuple[float, ...]:
        """The classes of the first target."""
        return self.targets[0].classes if self.targets else ()

    @property
    def further_numbers(self) -> tuple[str, ...]:
        """The names of the targets after the first one that are numbers."""
        return tuple(target.name for target in self.targets[1:] if not target.kind.is_text)

    def predict(self, batch: Batch) -> Prediction:
        """See ``Predictor.predict``."""
        return self._predicted(self.inputs.matrix(batch))

    def predict_one(self, record: Record) -> Single:
        """See ``Predictor.predict_one``."""
        with np.errstate(all="ignore"):
            return Single.of(self._predicted(np.array([self.inputs.row(record)])))

    def _predicted(self, records: Numbers) -> Prediction:
        """Returns what is predicted for the values of the compared fields, shape (n, fields)."""
        chosen, affinities = self._nearest(records)
        entities = self.codes[chosen].T
        value, probabilities = entities[0], None
        more: dict[str, Numbers] = {}
        weights = self._weights(affinities)
        nothing = np.isnan(affinities).any(axis=1)
        some = nothing.any()
        for place, target in enumerate(self.targets):
            shares = None
            if target.classes:
                predicted, shares = target.voted(chosen, weights)
            else:
                predicted = target.number(chosen, weights)
            if some:
                predicted[nothing] = np.nan
                if shares is not None:
                    shares[:, nothing] = np.nan
            if place == 0:
                value, probabilities = predicted, shares
            more[target.name] = predicted
        if some:
            entities = np.where(nothing, np.nan, entities)
            value = np.where(nothing, np.nan, value)
        return Prediction(value, probabilities, entities=entities, ranked_affinities=affinities.T, more=more)

    def _weights(self, affinities: Numbers) -> Numbers:
        """Returns the weights of neighbors. With a threshold of 0, only those without distance count."""
        weights = 1.0 / (affinities + self.threshold)
        if self.threshold == 0.0:
            endless = np.isinf(weights)
            weights = np.where(endless.any(axis=1)[:, None], endless, weights)
        return weights

    def _nearest(self, records: Numbers) -> tuple[Rows, Numbers]:
        """Returns the places of the nearest instances and their affinities, shape (n, neighbors)."""
        size = max(1, _MOST_PAIRS // self.instances.shape[1])
        pieces = []
        for start in range(0, len(records), size):
            affinities = self.comparison.between(records[start : start + size].T, self.instances)
            order = affinities if self.comparison.is_distance else -affinities
            chosen = _least(order, self.neighbors)
            pieces.append((chosen, np.take_along_axis(affinities, chosen, axis=1)))
        if len(pieces) == 1:
            return pieces[0]
        return np.concatenate([one for one, _ in pieces]), np.concatenate([one for _, one in pieces])


def _least(values: Numbers, count: int) -> Rows:
    """Returns the places of each row's least values in order, the first ones on ties; NaN comes last."""
    if count > _MOST_PASSES:
        return np.asarray(values.argsort(axis=1, kind="stable")[:, :count])
    # Infinite distances come before those that are missing, and what has been chosen after both.
    left = np.where(np.isnan(values), _MISSING, np.minimum(values, _FARTHEST))
    if len(values) == 1:
        return np.asarray(left.argsort(axis=1, kind="stable")[:, :count])
    # A pass for each neighbor: for the usual few it is much faster than to sort or to partition.
    records = np.arange(len(values))
    chosen = np.empty((len(values), count), dtype=np.intp)
    for rank in range(count):
        best = left.argmin(axis=1)
        chosen[:, rank] = best
        left[records, best] = np.inf
    return chosen
