"""BaselineModel: how far a value is from what is normal (PMML 4.4: Baseline Model).

Only the zValue is computed from one record. The other statistics (CUSUM, the scalar product, chi-square)
depend on the records before, so they are refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.models.linear import numeric_field
from model_serving.engines.pmml.evaluator.prediction import (
    ModelContext,
    Prediction,
    Single,
    WithoutClasses,
    WithoutEntities,
)
from model_serving.engines.pmml.evaluator.reading import (
    MODEL_ATTRIBUTES,
    MODEL_PARTS,
    Unsupported,
    children,
    choice,
    number,
    only,
    required,
)

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.batch import Batch
    from model_serving.engines.pmml.evaluator.data_types import Kind
    from model_serving.engines.pmml.evaluator.record import Record
    from model_serving.engines.pmml.evaluator.scope import Field

__all__ = ["BaselineModel", "compile_model"]

_ATTRIBUTES = {"field", "testStatistic", "resetValue", "windowSize"}
_DISTRIBUTIONS = ("GaussianDistribution", "PoissonDistribution", "AnyDistribution")


def compile_model(element: Element, context: ModelContext) -> BaselineModel:
    """Reads a BaselineModel.

    Raises:
        Unsupported: a part of it is not known, or its statistic depends on earlier records.
    """
    context.needs("regression")
    tests = only(
        children(element, MODEL_ATTRIBUTES, {*MODEL_PARTS, "TestDistributions"}), "TestDistributions"
    )
    if tests is None:
        raise Unsupported("a BaselineModel without TestDistributions")
    statistic = required(tests, "testStatistic")
    if statistic != "zValue":
        raise Unsupported(
            f"testStatistic '{statistic}', which depends on the records before",
            "use the testStatistic zValue",
        )
    choice(tests, "windowSize", ("0", "1"), "0")
    baseline = only(children(tests, _ATTRIBUTES, ("Baseline",)), "Baseline")
    if baseline is None:
        raise Unsupported("TestDistributions without a Baseline")
    distributions = children(baseline, set[str](), _DISTRIBUTIONS)
    if len(distributions) != 1:
        raise Unsupported("a Baseline without one distribution")
    field = numeric_field(context.scope, required(tests, "field"), "TestDistributions")
    mean, variance = _moments(distributions[0])
    if not variance > 0.0:
        raise Unsupported("a Baseline with a variance that is not above 0")
    return BaselineModel(context.number_kind, field, mean, sqrt(variance))


def _moments(distribution: Element) -> tuple[float, float]:
    if distribution.tag == "PoissonDistribution":
        children(distribution, {"mean"})
        return number(distribution, "mean"), number(distribution, "mean")
    children(distribution, {"mean", "variance"})
    return number(distribution, "mean"), number(distribution, "variance")


@dataclass(frozen=True, slots=True)
class BaselineModel(WithoutClasses, WithoutEntities):
    """Implements ``Predictor``: (x - mean) / deviation."""

    kind: Kind
    field: Field
    mean: float
    deviation: float

    def predict(self, batch: Batch) -> Prediction:
        """See ``Predictor.predict``."""
        return Prediction(np.asarray((batch.value(self.field) - self.mean) / self.deviation))

    def predict_one(self, record: Record) -> Single:
        """See ``Predictor.predict_one``."""
        return Single((self.field.one(record) - self.mean) / self.deviation)
