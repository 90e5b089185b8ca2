"""The segments of a MiningModel: which records belong to them, and what their models predict."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.compiler import MODELS
from model_serving.engines.pmml.evaluator.data_types import spelled_value
from model_serving.engines.pmml.evaluator.predicates import ALWAYS, PREDICATES, Predicate, predicate_of
from model_serving.engines.pmml.evaluator.prediction import ModelNode, Prediction, Single
from model_serving.engines.pmml.evaluator.reading import Unsupported, children, number

if TYPE_CHECKING:
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.batch import Batch, Mask
    from model_serving.engines.pmml.evaluator.data_types import Kind
    from model_serving.engines.pmml.evaluator.prediction import ModelContext
    from model_serving.engines.pmml.evaluator.record import Record
    from model_serving.engines.pmml.evaluator.scope import Scope
    from model_serving.engines.pmml.evaluator.symbols import Numbers
    from model_serving.engines.pmml.evaluator.targets import Target

__all__ = [
    "Segment",
    "Translation",
    "complete",
    "complete_one",
    "has_probabilities",
    "merged",
    "nodes_by_id",
    "read_segment",
    "read_segments",
    "segment_parts",
]


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """A segment. ``node`` predicts for all records; ask ``predict`` for those that belong to the segment."""

    name: str
    predicate: Predicate
    weight: float
    node: ModelNode

    def taken(self, batch: Batch) -> Mask | None:
        """Returns the records that belong to the segment; None means all.

        A predicate that is unknown counts as false (PMML 4.4, Multiple Models: Segment).
        """
        if self.predicate is ALWAYS:
            return None
        true, _ = self.predicate.evaluate(batch)
        return None if true.all() else true

    def takes(self, record: Record) -> bool:
        """Returns whether one record alone belongs to the segment."""
        return self.predicate is ALWAYS or bool(self.predicate.one(record))

    def predict(self, batch: Batch, taken: Mask | None) -> Prediction:
        """Returns what the model predicts for the records that are taken, and nothing for the others."""
        if taken is None:
            return batch.prediction(self.node)
        rows = np.flatnonzero(taken)
        if not len(rows):
            return Prediction(np.full(batch.n, np.nan))
        some = batch.take(rows)
        found = some.prediction(self.node).scattered(rows, batch.n)
        if some.failed is not None:
            failed = np.zeros(batch.n, dtype=bool)
            failed[rows] = some.failed
            batch.fail(failed)
        return found


def segment_parts(element: Element, place: int) -> tuple[str, float, list[Element], Element]:
    """Returns a segment's id, its weight, its parts and the element of its model.

    A segment without an id has its place, counted from 1, as its id.

    Raises:
        Unsupported: a part is not known, or there is not one model.
    """
    parts = children(element, {"id", "weight"}, PREDICATES | MODELS.keys())
    models = [part for part in parts if part.tag in MODELS]
    if len(models) != 1:
        raise Unsupported(f"a Segment with {len(models)} models where one belongs")
    weight = number(element, "weight", 1.0)
    if not 0.0 <= weight < np.inf:
        raise Unsupported(f"weight '{element.get('weight')}' of Segment")
    return element.get("id") or str(place), weight, parts, models[0]


def read_segment(element: Element, place: int, scope: Scope, context: ModelContext) -> Segment:
    """Reads a segment in a scope, which gets the outputs of its model.

    Raises:
        Unsupported: a part is not known.
    """
    name, weight, parts, model = segment_parts(element, place)
    predicate = predicate_of(parts, element, scope)
    return Segment(name, predicate, weight, context.nested(model, scope))


def read_segments(elements: Sequence[Element], context: ModelContext) -> list[Segment]:
    """Reads segments that do not see each other's outputs.

    Raises:
        Unsupported: a part is not known, two segments have one id, or a function differs from the outer one.
    """
    segments = []
    for place, element in enumerate(elements, 1):
        segment = read_segment(element, place, context.scope.inner(), context)
        if segment.node.function != context.function:
            raise Unsupported(
                f"a Segment with a model for {segment.node.function} in a MiningModel for {context.function}"
            )
        segments.append(segment)
    return segments


def nodes_by_id(segments: Sequence[Segment], context: ModelContext) -> dict[str, ModelNode]:
    """Returns what OutputFields with ``segmentId`` ask: nothing for records that a segment does not take."""
    nodes: dict[str, ModelNode] = {}
    for segment in segments:
        if segment.name in nodes:
            raise Unsupported(f"two Segments with the id '{segment.name}'")
        node = segment.node
        if segment.predicate is not ALWAYS:
            target = replace(node.target, priors={}, default=None, cast=None)
            target.low, target.high, target.factor, target.constant = -np.inf, np.inf, 1.0, 0.0
            node = ModelNode(
                context.program.model_index(),
                node.element,
                node.function,
                node.scope,
                _Taken(segment),
                target,
                node.outputs,
            )
        nodes[segment.name] = node
    return nodes


@dataclass(frozen=True, slots=True, eq=False)
class _Taken:
    """A segment as a ``Predictor``: for other records than its own it predicts nothing."""

    segment: Segment

    @property
    def kind(self) -> Kind:
        return self.segment.node.predictor.kind

    @property
    def classes(self) -> tuple[float, ...]:
        return self.segment.node.predictor.classes

    @property
    def entities(self) -> tuple[str, ...]:
        return self.segment.node.predictor.entities

    def predict(self, batch: Batch) -> Prediction:
        return self.segment.predict(batch, self.segment.taken(batch))

    def predict_one(self, record: Record) -> Single:
        return record.prediction(self.segment.node) if self.segment.takes(record) else Single(np.nan)


class Translation:
    """Turns the classes of a segment's model into those of the model around it, by what they are called."""

    def __init__(self, node: ModelNode, target: Target) -> None:
        inner, kind = node.predictor, node.predictor.kind
        self._pairs: list[tuple[float, float]] = []
        values = inner.classes or tuple(node.target.symbols.code(one) for one in inner.entities)
        self.classes = values
        if kind.data_type == target.kind.data_type or (kind.is_number and target.kind.is_number):
            for value in inner.classes:
                if value in node.target.labels:
                    target.labels.setdefault(value, node.target.labels[value])
            return
        known = dict.fromkeys((*values, *node.target.values, *node.target.labels))
        for value in known:
            text = node.target.labels.get(value)
            if text is None:
                text = (
                    target.symbols.texts[int(value)] if kind.is_text else spelled_value(kind.data_type)(value)
                )
            self._pairs.append((value, target.class_value(text)))
        table = dict(self._pairs)
        self.classes = tuple(table[value] for value in values)

    def values(self, values: Numbers) -> Numbers:
        """Returns predicted classes as values of the outer target."""
        if not self._pairs:
            return values
        made = np.full(values.shape, np.nan)
        for inner, outer in self._pairs:
            made[values == inner] = outer
        return made

    def value_of_one(self, value: float) -> float:
        """Returns a predicted class as a value of the outer target."""
        if not self._pairs:
            return value
        return next((outer for inner, outer in self._pairs if inner == value), np.nan)

    def shares_of_one(self, found: Single, classes: tuple[float, ...]) -> list[float]:
        """Does the same as ``shares`` for one record alone."""
        value, given = found.value, found.probabilities
        if given is not None:
            given = _aligned_of_one(given, self.classes, classes)
            if value != value or any(share == share for share in given):
                return given
        if value != value:
            return [np.nan] * len(classes)
        certain = self.value_of_one(value)
        return [1.0 if one == certain else 0.0 for one in classes]

    def shares(self, found: Prediction, classes: tuple[float, ...]) -> Numbers:
        """Returns the probabilities in the order of ``classes``, shape (classes, n).

        Where a model gives no probabilities it is certain of the class that it predicts.
        """
        given = None
        if found.probabilities is not None:
            given = _aligned(found.probabilities, self.classes, classes)
            without = np.isnan(given).all(axis=0) & ~np.isnan(found.value)
            if not without.any():
                return given
        certain: Numbers = (np.array(classes)[:, None] == self.values(found.value)).astype(np.float64)
        certain[:, np.isnan(found.value)] = np.nan
        return certain if given is None else np.where(without, certain, given)

    def translated(self, found: Prediction, classes: tuple[float, ...]) -> Prediction:
        """Returns a prediction in the outer model's classes."""
        if not self._pairs and self.classes == classes:
            return found
        return replace(
            found,
            value=self.values(found.value),
            probabilities=None
            if found.probabilities is None
            else _aligned(found.probabilities, self.classes, classes),
            confidences=None
            if found.confidences is None
            else _aligned(found.confidences, self.classes, classes),
        )

    def translated_one(self, found: Single, classes: tuple[float, ...]) -> Single:
        """Does the same for one record alone."""
        if not self._pairs and self.classes == classes:
            return found
        shares, sureness = found.probabilities, found.confidences
        return Single(
            self.value_of_one(found.value),
            None if shares is None else _aligned_of_one(shares, self.classes, classes),
            None if sureness is None else _aligned_of_one(sureness, self.classes, classes),
            found.entities,
            found.affinities,
            found.ranked_affinities,
            found.reasons,
            found.more,
        )


def _aligned_of_one(given: list[float], inner: tuple[float, ...], outer: tuple[float, ...]) -> list[float]:
    if inner == outer or not given:
        return given
    if all(share != share for share in given):
        return [np.nan] * len(outer)
    table = dict(zip(inner, given, strict=True))
    return [table.get(value, 0.0) for value in outer]


def _aligned(given: Numbers, inner: tuple[float, ...], outer: tuple[float, ...]) -> Numbers:
    if inner == outer or not len(given):
        return given
    places = {value: place for place, value in enumerate(inner)}
    made = np.zeros((len(outer), given.shape[1]))
    for row, value in enumerate(outer):
        if value in places:
            made[row] = given[places[value]]
    made[:, np.isnan(given).all(axis=0)] = np.nan
    return made


def has_probabilities(segments: Sequence[Segment]) -> bool:
    """Whether the model of some segment may give probabilities."""
    return any(getattr(one.node.predictor, "has_probabilities", True) for one in segments)


def complete(found: Prediction, classes: tuple[float, ...]) -> Prediction:
    """Returns a prediction that has probabilities for these classes: NaN where the model gives none."""
    if found.probabilities is None and classes:
        return replace(found, probabilities=np.full((len(classes), len(found.value)), np.nan))
    return found


def complete_one(found: Single, classes: tuple[float, ...]) -> Single:
    """Does the same for one record alone."""
    if found.probabilities is None and classes:
        return replace(found, probabilities=[np.nan] * len(classes))
    return found


def merged(parts: Sequence[tuple[Mask | None, Prediction]], n: int) -> Prediction:
    """Returns one prediction of several that are for different records. Masks are of shape (n,); None is all.

    Where two are for the same record the later one counts.
    """
    if not parts:
        return Prediction(np.full(n, np.nan))
    if len(parts) == 1:
        return parts[0][1]  # ``Segment.predict`` has left the other records without a prediction
    everything = np.ones(n, dtype=bool)
    masks = [everything if mask is None else mask for mask, _ in parts]

    def together(arrays: list[Numbers | None]) -> Numbers | None:
        ranks = [len(array) for array in arrays if array is not None]
        if not ranks:
            return None
        made = np.full((max(ranks), n), np.nan)
        for mask, array in zip(masks, arrays, strict=True):
            made[:, mask] = np.nan
            if array is not None:
                made[: len(array), mask] = array[:, mask]
        return made

    value = np.full(n, np.nan)
    more: dict[str, Numbers] = {}
    for mask, (_, found) in zip(masks, parts, strict=True):
        value[mask] = found.value[mask]
        for name, values in found.more.items():
            more.setdefault(name, np.full(n, np.nan))[mask] = values[mask]
    predictions = [found for _, found in parts]
    return Prediction(
        value,
        together([one.probabilities for one in predictions]),
        together([one.confidences for one in predictions]),
        together([one.entities for one in predictions]),
        together([one.affinities for one in predictions]),
        together([one.ranked_affinities for one in predictions]),
        together([one.reasons for one in predictions]),
        more,
    )
