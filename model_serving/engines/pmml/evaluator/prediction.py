"""What a model predicts for a batch, and the models of a document as nodes that can be asked for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from model_serving.engines.pmml.evaluator.data_types import DOUBLE
from model_serving.engines.pmml.evaluator.reading import Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.batch import Batch, Rows
    from model_serving.engines.pmml.evaluator.data_types import Kind
    from model_serving.engines.pmml.evaluator.record import Record
    from model_serving.engines.pmml.evaluator.scope import Field, Program, Scope
    from model_serving.engines.pmml.evaluator.symbols import Numbers
    from model_serving.engines.pmml.evaluator.targets import Target

__all__ = [
    "ModelContext",
    "ModelNode",
    "Prediction",
    "Predictor",
    "Single",
    "WithoutClasses",
    "WithoutEntities",
    "winner",
    "winner_of_one",
]


@dataclass(slots=True)
class Prediction:
    """What a model predicts for n records. NaN stands for no value everywhere.

    Attributes:
        value: the predicted value, shape (n,): a number, or the value of a class or entity (a code if text).
        probabilities: shape (classes, n), in the order of ``Predictor.classes``.
        confidences: the same for confidences.
        entities: shape (ranks, n): the ids of nodes, clusters, rules, neighbours as codes, the best first.
        affinities: shape (entities, n), in the order of ``Predictor.entities``: distance or similarity.
        ranked_affinities: shape (ranks, n): the affinities of ``entities``.
        reasons: shape (ranks, n): reason codes, the most important first.
        more: other values by name, each of shape (n,), such as ``standardError``, and the values of further
            targets by the name of the target.
    """

    value: Numbers
    probabilities: Numbers | None = None
    confidences: Numbers | None = None
    entities: Numbers | None = None
    affinities: Numbers | None = None
    ranked_affinities: Numbers | None = None
    reasons: Numbers | None = None
    more: Mapping[str, Numbers] = field(default_factory=dict)

    def take(self, rows: Rows) -> Prediction:
        """Returns the prediction for some of the records."""
        return self._each(lambda values: values[..., rows])

    def scattered(self, rows: Rows, n: int) -> Prediction:
        """Returns the prediction for n records: these at the places ``rows``, the others NaN."""

        def scatter(values: Numbers) -> Numbers:
            made = np.full((*values.shape[:-1], n), np.nan)
            made[..., rows] = values
            return made

        return self._each(scatter)

    def _each(self, change: Callable[[Numbers], Numbers]) -> Prediction:
        def some(values: Numbers | None) -> Numbers | None:
            return None if values is None else change(values)

        return Prediction(
            change(self.value),
            some(self.probabilities),
            some(self.confidences),
            some(self.entities),
            some(self.affinities),
            some(self.ranked_affinities),
            some(self.reasons),
            {name: change(values) for name, values in self.more.items()},
        )


@dataclass(slots=True)
class Single:
    """What a model predicts for one record alone: a ``Prediction`` without the axis of the records."""

    value: float
    probabilities: list[float] | None = None
    confidences: list[float] | None = None
    entities: list[float] | None = None
    affinities: list[float] | None = None
    ranked_affinities: list[float] | None = None
    reasons: list[float] | None = None
    more: Mapping[str, float] = field(default_factory=dict)

    @staticmethod
    def of(found: Prediction) -> Single:
        """Returns the only record's part of a prediction."""

        def only(values: Numbers | None) -> list[float] | None:
            return None if values is None else values[:, 0].tolist()

        return Single(
            found.value.item(),
            only(found.probabilities),
            only(found.confidences),
            only(found.entities),
            only(found.affinities),
            only(found.ranked_affinities),
            only(found.reasons),
            {name: values.item() for name, values in found.more.items()},
        )

    def with_value(self, value: float) -> Single:
        """Returns the same with another predicted value; ``dataclasses.replace`` takes five times as long."""
        return Single(
            value,
            self.probabilities,
            self.confidences,
            self.entities,
            self.affinities,
            self.ranked_affinities,
            self.reasons,
            self.more,
        )

    def without_values(self) -> Single:
        """Returns the same without a value in it: NaN everywhere."""

        def nothing(values: list[float] | None) -> list[float] | None:
            return None if values is None else [np.nan] * len(values)

        return Single(
            np.nan,
            nothing(self.probabilities),
            nothing(self.confidences),
            nothing(self.entities),
            nothing(self.affinities),
            nothing(self.ranked_affinities),
            nothing(self.reasons),
            dict.fromkeys(self.more, np.nan),
        )


class Predictor(Protocol):
    """A model without its targets and outputs.

    ``kind`` is the type of the predicted value. ``classes`` are the values of the classes in the order of the
    probabilities, empty if there are none. ``entities`` are the ids of what has affinities or a rank
    (clusters, nodes, neurons), in the document's order, empty if there are none.
    """

    @property
    def kind(self) -> Kind:
        """See the class."""
        ...

    @property
    def classes(self) -> tuple[float, ...]:
        """See the class."""
        ...

    @property
    def entities(self) -> tuple[str, ...]:
        """See the class."""
        ...

    def predict(self, batch: Batch) -> Prediction:
        """Predicts for every record of the batch. Marks the records that fail with ``batch.fail``."""
        ...

    def predict_one(self, record: Record) -> Single:
        """Predicts for one record alone.

        Raises:
            Undecided: only the batch can tell (see ``record``).
        """
        ...


class WithoutClasses:
    """A predictor that gives no probabilities of classes."""

    __slots__ = ()

    @property
    def classes(self) -> tuple[float, ...]:
        """None."""
        return ()


class WithoutEntities:
    """A predictor in which nothing has an affinity or a rank."""

    __slots__ = ()

    @property
    def entities(self) -> tuple[str, ...]:
        """None."""
        return ()


@dataclass(frozen=True, slots=True, eq=False)
class ModelNode:
    """A model of the document with its target and outputs. Ask ``Batch.prediction``, which asks only once."""

    index: int
    element: Element
    function: str
    scope: Scope
    predictor: Predictor
    target: Target
    outputs: list[OutputField]
    is_untreated: bool = field(init=False)
    """Whether ``Targets`` change no prediction."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_untreated", self.target.changes_nothing)

    def predict(self, batch: Batch) -> Prediction:
        """Returns the prediction after the treatment by ``Targets``."""
        prediction = self.predictor.predict(batch)
        if self.is_untreated:
            return prediction
        return self.target.treated(prediction, self.predictor.classes, is_number=self._is_number)

    def predict_one(self, record: Record) -> Single:
        """Does the same for one record alone (raises as ``Predictor.predict_one``)."""
        found = self.predictor.predict_one(record)
        if self.is_untreated:
            return found
        return self.target.treated_one(found, self.predictor.classes, is_number=self._is_number)

    @property
    def _is_number(self) -> bool:
        return not self.predictor.classes and not self.predictor.kind.is_text


@dataclass(frozen=True, slots=True, eq=False)
class OutputField:
    """An OutputField. ``is_final``: it is part of the answer, not only an input of other parts."""

    field: Field
    feature: str
    is_final: bool
    class_value: float | None = None
    """The class of which it is the probability; None for the predicted class, and for other features."""


@dataclass(frozen=True, slots=True)
class ModelContext:
    """What the module of a kind of model needs to read its element.

    ``scope`` has the fields that the element may name. ``target`` is there even if the document names none.
    ``single`` says that sums are made of 32-bit numbers (JPMML's ``x-mathContext="float"``). ``ranks`` is how
    many of the best entities or reasons the outputs of this model or of one around it ask for, 0 for none.
    ``nested`` reads a model inside of this one, such as a segment's, in a scope. ``scope_of`` returns what
    such a model would see, for those who read it themselves: fields treated by its MiningSchema, and its
    LocalTransformations. Models with the same MiningSchema share the treated fields.
    """

    scope: Scope
    function: str
    target: Target
    single: bool
    ranks: int
    nested: Callable[[Element, Scope], ModelNode]
    scope_of: Callable[[Element, Scope], Scope]

    @property
    def program(self) -> Program:
        """What all parts of the document share."""
        return self.scope.program

    @property
    def target_names(self) -> tuple[str, ...]:
        """The names of all targets, the one of ``target`` first. Empty if the document names none."""
        return self.target.all_names

    @property
    def classifies(self) -> bool:
        """Whether the model predicts a class."""
        return self.function == "classification"

    @property
    def number_kind(self) -> Kind:
        """The type of a predicted number: the target's, or double if the target's values are not numbers."""
        return self.target.kind if self.target.kind.is_number else DOUBLE

    def needs(self, *functions: str) -> None:
        """Raises Unsupported when the model's ``functionName`` is none of these."""
        if self.function not in functions:
            raise Unsupported(f"functionName '{self.function}' of this kind of model")


def winner(scores: Numbers, classes: tuple[float, ...]) -> Numbers:
    """Returns the value of the class with the greatest score, shape (n,): the first one on ties.

    A record for which some score is NaN, or all are zero, has no class: its result is NaN. NaN never wins.

    Args:
        scores: shape (classes, n).
        classes: the values of the classes.
    """
    best: Numbers = np.array(classes).take(scores.argmax(axis=0))
    greatest = scores.max(axis=0)
    nothing = ~(greatest > 0.0)
    if nothing.any():
        best[nothing] = np.nan
    return best


def winner_of_one(scores: Sequence[float], classes: tuple[float, ...]) -> float:
    """Does the same for one record alone, of which the scores have the shape (classes,)."""
    best, found = 0.0, np.nan
    for score, value in zip(scores, classes, strict=True):
        if score != score:
            return np.nan
        if score > best:
            best, found = score, value
    return found
