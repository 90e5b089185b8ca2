"""The values of OutputFields: what is read from a prediction, and conversions of it (PMML 4.4: Output)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.data_types import DOUBLE, STRING, Kind, converted
from model_serving.engines.pmml.evaluator.expressions.single import one_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from model_serving.engines.pmml.evaluator.batch import Batch
    from model_serving.engines.pmml.evaluator.prediction import ModelNode, Prediction
    from model_serving.engines.pmml.evaluator.scope import Expression
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["Cast", "Displayed", "FromPrediction", "Residual", "nothing", "row"]


def row(rows: Numbers | None, place: int, found: Prediction) -> Numbers:
    """Returns one row of a part of a prediction; NaN where the prediction does not have it."""
    return nothing(found) if rows is None or place >= len(rows) else rows[place]


def nothing(found: Prediction) -> Numbers:
    """Returns a missing value for each record."""
    return np.full(found.value.shape, np.nan)


@dataclass(frozen=True, slots=True)
class FromPrediction:
    """A value that is read from a prediction."""

    kind: Kind
    node: ModelNode
    read: Callable[[Prediction], Numbers]

    def evaluate(self, batch: Batch) -> Numbers:
        """See ``Expression.evaluate``."""
        return self.read(batch.prediction(self.node))


@dataclass(frozen=True, slots=True)
class Cast:
    """A value as another type. What does not spell a value of the type is missing."""

    kind: Kind
    inner: Expression

    def one(self, batch: Batch) -> float:
        """Returns the value for a batch of one record."""
        value = one_of(self.inner)(batch)
        if self.inner.kind.is_number and (value != value or self.kind.data_type == "double"):
            return value
        given = np.array((value,))
        return float(converted(given, self.inner.kind, self.kind, batch.texts)[0][0])

    def evaluate(self, batch: Batch) -> Numbers:
        """See ``Expression.evaluate``."""
        return converted(self.inner.evaluate(batch), self.inner.kind, self.kind, batch.texts)[0]


@dataclass(frozen=True, slots=True)
class Displayed:
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
class Residual:
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
