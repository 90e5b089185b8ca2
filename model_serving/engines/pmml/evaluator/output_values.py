"""The values of OutputFields: what is read from a prediction, and conversions of it (PMML 4.4: Output)."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.data_types import DOUBLE, STRING, Kind, as_single, converted
from model_serving.engines.pmml.evaluator.record import ByBatch, Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from model_serving.engines.pmml.evaluator.batch import Batch
    from model_serving.engines.pmml.evaluator.prediction import ModelNode, Prediction
    from model_serving.engines.pmml.evaluator.scope import Expression
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["Cast", "Displayed", "FromPrediction", "Further", "Residual", "ShareOfPredicted", "ShareOfUnnamed"]


@dataclass(frozen=True, slots=True)
class FromPrediction:
    """A value that is read from a prediction: missing where the prediction does not have it.

    ``part`` is the name of an attribute of ``Prediction``, ``place`` the row in it.
    """

    kind: Kind
    node: ModelNode
    part: str = "value"
    place: int = 0

    def one(self, record: Record) -> float:
        """See ``Expression.one``."""
        found = record.prediction(self.node)
        if self.part == "value":
            return found.value
        rows: Sequence[float] | None = getattr(found, self.part)
        return nan if rows is None or self.place >= len(rows) else rows[self.place]

    def evaluate(self, batch: Batch) -> Numbers:
        """See ``Expression.evaluate``."""
        found = batch.prediction(self.node)
        if self.part == "value":
            return found.value
        rows: Numbers | None = getattr(found, self.part)
        return _nothing(found) if rows is None or self.place >= len(rows) else rows[self.place]


@dataclass(frozen=True, slots=True)
class Further:
    """A further value of a prediction, by its name."""

    kind: Kind
    node: ModelNode
    name: str

    def one(self, record: Record) -> float:
        """See ``Expression.one``."""
        return record.prediction(self.node).more.get(self.name, nan)

    def evaluate(self, batch: Batch) -> Numbers:
        """See ``Expression.evaluate``."""
        found = batch.prediction(self.node)
        return found.more.get(self.name, _nothing(found))


@dataclass(frozen=True, slots=True)
class ShareOfPredicted:
    """The probability or confidence (``part``) of the class that is predicted."""

    node: ModelNode
    part: str
    kind: Kind = DOUBLE

    def one(self, record: Record) -> float:
        """See ``Expression.one``."""
        found = record.prediction(self.node)
        rows: Sequence[float] | None = getattr(found, self.part)
        if rows is None or found.value != found.value:
            return nan
        classes = self.node.predictor.classes
        return rows[classes.index(found.value)] if found.value in classes else 0.0

    def evaluate(self, batch: Batch) -> Numbers:
        """See ``Expression.evaluate``."""
        found = batch.prediction(self.node)
        rows: Numbers | None = getattr(found, self.part)
        if rows is None:
            return _nothing(found)
        values = np.array(self.node.predictor.classes)
        share: Numbers = np.where(found.value == values[:, None], rows, 0.0).sum(axis=0)
        return np.where(np.isnan(found.value), np.nan, share)


@dataclass(frozen=True, slots=True)
class ShareOfUnnamed:
    """The probability of a class that the model never names: it has no share in any answer."""

    node: ModelNode
    kind: Kind = DOUBLE

    def one(self, record: Record) -> float:
        """See ``Expression.one``."""
        value = record.prediction(self.node).value
        return 0.0 if value == value else nan

    def evaluate(self, batch: Batch) -> Numbers:
        """See ``Expression.evaluate``."""
        return np.where(np.isnan(batch.prediction(self.node).value), np.nan, 0.0)


def _nothing(found: Prediction) -> Numbers:
    return np.full(found.value.shape, np.nan)


@dataclass(frozen=True, slots=True)
class Cast:
    """A value as another type. What does not spell a value of the type is missing."""

    kind: Kind
    inner: Expression

    def one(self, record: Record) -> float:
        """See ``Expression.one``."""
        value = self.inner.one(record)
        if self.inner.kind.is_number:
            data_type = self.kind.data_type
            if value != value or data_type == "double" or (data_type == "integer" and value.is_integer()):
                return value
            if data_type == "float":
                return as_single(value)
        return float(converted(np.array((value,)), self.inner.kind, self.kind, record.texts)[0][0])

    def evaluate(self, batch: Batch) -> Numbers:
        """See ``Expression.evaluate``."""
        return converted(self.inner.evaluate(batch), self.inner.kind, self.kind, batch.texts)[0]


@dataclass(frozen=True, slots=True)
class Displayed(ByBatch):
    """The predicted value as the document wants it displayed."""

    node: ModelNode

    @property
    def kind(self) -> Kind:
        """See ``Expression.kind``."""
        return STRING

    def evaluate(self, batch: Batch) -> Numbers:
        """See ``Expression.evaluate``."""
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
class Residual(ByBatch):
    """The expected value less the predicted one (PMML 4.4, Output)."""

    node: ModelNode
    expected: Expression

    @property
    def kind(self) -> Kind:
        """See ``Expression.kind``."""
        return DOUBLE

    def evaluate(self, batch: Batch) -> Numbers:
        """See ``Expression.evaluate``."""
        expected = self.expected.evaluate(batch)
        found = batch.prediction(self.node)
        if not self.node.predictor.classes or found.probabilities is None:
            return expected - found.value
        # For a class: 1 for a hit and 0 for a miss, less the probability of the predicted class.
        hit = np.where(expected == found.value, 1.0, 0.0)
        values = np.array(self.node.predictor.classes)
        share = np.where(found.value == values[:, None], found.probabilities, 0.0).sum(axis=0)
        return np.where(np.isnan(expected) | np.isnan(found.value), np.nan, hit - share)
