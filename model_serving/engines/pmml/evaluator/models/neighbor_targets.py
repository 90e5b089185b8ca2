"""What is predicted from the nearest training instances: averages and votes (PMML 4.4, Nearest Neighbors)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.reading import Unsupported, choice

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.batch import Rows
    from model_serving.engines.pmml.evaluator.data_types import Kind
    from model_serving.engines.pmml.evaluator.models.instances import Instances
    from model_serving.engines.pmml.evaluator.prediction import ModelContext
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["NeighborTarget", "read_target"]


@dataclass(frozen=True, slots=True, eq=False)
class NeighborTarget:
    """What is predicted from the neighbors: a number if there are no classes, else a class.

    ``values`` are those of the instances, shape (instances,): numbers, or places of classes, -1 for none.
    ``precedence`` are the places of the classes in the order in which they win on ties.
    """

    name: str
    kind: Kind
    values: Numbers
    classes: tuple[float, ...]
    precedence: Rows
    method: str

    @property
    def is_weighted(self) -> bool:
        """Whether near neighbors count more."""
        return self.method.startswith("weighted")

    def number(self, chosen: Rows, weights: Numbers) -> Numbers:
        """Returns the number of each record, from its neighbors and their weights, shape (n, neighbors)."""
        values = self.values[chosen]
        if self.method == "median":
            return np.asarray(np.median(values, axis=1))
        if self.is_weighted:
            return np.asarray((values * weights).sum(axis=1) / weights.sum(axis=1))
        return np.asarray(values.sum(axis=1) / values.shape[1])

    def voted(self, chosen: Rows, weights: Numbers) -> tuple[Numbers, Numbers]:
        """Returns the class of each record and the share of each class in its votes, shape (classes, n)."""
        count, n = len(self.classes), len(chosen)
        places = self.values[chosen].astype(np.intp)
        cells = np.where(places < 0, 0, places) + np.arange(n)[:, None] * count
        votes = np.bincount(cells.ravel(), weights.ravel() if self.is_weighted else None, minlength=n * count)
        shares = votes.reshape(n, count).T / (
            weights.sum(axis=1) if self.is_weighted else float(chosen.shape[1])
        )
        best = self.precedence[shares[self.precedence].argmax(axis=0)]
        value = np.array(self.classes)[best]
        lacking = (places < 0).any(axis=1)
        if lacking.any():
            value[lacking] = np.nan
            shares[:, lacking] = np.nan
        return value, shares


def read_target(name: str, element: Element, instances: Instances, context: ModelContext) -> NeighborTarget:
    """Reads how a target is predicted.

    Args:
        name: the name of the target.
        element: the NearestNeighborModel.
        instances: the training instances.
        context: the context of the model.

    Raises:
        Unsupported: the method is not known, or the instances have no values of the target.
    """
    is_first = name == context.target.name
    field = context.scope.field(name)
    kind = context.target.kind if is_first else field.kind
    if kind.is_continuous and not kind.is_text and not (is_first and context.classifies):
        method = choice(
            element, "continuousScoringMethod", ("median", "average", "weightedAverage"), "average"
        )
        return NeighborTarget(
            name, kind, instances.values(name, kind), (), np.array([], dtype=np.intp), method
        )
    method = choice(
        element, "categoricalScoringMethod", ("majorityVote", "weightedMajorityVote"), "majorityVote"
    )
    values = instances.values(name, kind)
    declared = context.target.values if is_first else field.values
    met = dict.fromkeys(values[~np.isnan(values)].tolist())
    if is_first:
        for text in instances.texts(name):
            if text is not None:
                context.target.class_value(text)
    classes = tuple(dict.fromkeys((*(one for one in declared if one in met), *met)))
    if not classes:
        raise Unsupported(f"training instances without a value of the target '{name}'")
    place_of = {value: place for place, value in enumerate(classes)}
    places = np.array([place_of.get(value, -1) for value in values.tolist()], dtype=np.float64)
    return NeighborTarget(name, kind, places, classes, _precedence(classes, places, kind, context), method)


def _precedence(classes: tuple[float, ...], places: Numbers, kind: Kind, context: ModelContext) -> Rows:
    """Returns the places of the classes in the order in which they win on ties.

    The class with more training instances wins, then the one with the smaller value, texts in lexical order
    (PMML 4.4, Nearest Neighbors: categoricalScoringMethod).
    """
    counts = np.bincount(places[places >= 0].astype(np.intp), minlength=len(classes))
    texts = context.program.symbols.texts

    def key(place: int) -> tuple[int, str | float]:
        value = classes[place]
        return -int(counts[place]), texts[int(value)] if kind.is_text else value

    return np.array(sorted(range(len(classes)), key=key), dtype=np.intp)
