"""GaussianProcessModel: the mean and the deviation of a process that is known at some points (PMML 4.4)."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan, nan, sqrt
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.models.input_matrix import InputMatrix
from model_serving.engines.pmml.evaluator.models.instances import Instances
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
    NOTHING,
    Unsupported,
    children,
    named,
    number,
    only,
    real_array,
    required,
)

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.batch import Batch
    from model_serving.engines.pmml.evaluator.data_types import Kind
    from model_serving.engines.pmml.evaluator.record import Record
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["GaussianProcessModel", "compile_model"]

_KERNELS = (
    "RadialBasisKernel",
    "ARDSquaredExponentialKernel",
    "AbsoluteExponentialKernel",
    "GeneralizedExponentialKernel",
)
_MOST_INSTANCES = 5_000
_AT_ONCE = 500_000


def compile_model(element: Element, context: ModelContext) -> GaussianProcessModel:
    """Reads a GaussianProcessModel.

    Raises:
        Unsupported: a part of it is not known, or its covariances have no inverse.
    """
    context.needs("regression")
    parts = children(
        element, MODEL_ATTRIBUTES | {"optimizer"}, {*MODEL_PARTS, *_KERNELS, "TrainingInstances"}
    )
    kernels = [part for part in parts if part.tag in _KERNELS]
    training = only(parts, "TrainingInstances")
    if len(kernels) != 1 or training is None:
        raise Unsupported("a GaussianProcessModel without one kernel and TrainingInstances")
    instances = Instances(training, context.scope)
    if len(instances) > _MOST_INSTANCES:
        raise Unsupported(f"a GaussianProcessModel with more than {_MOST_INSTANCES:,} instances")
    named_fields = next(part for part in training if part.tag == "InstanceFields")
    names = [required(part, "field") for part in named(list(named_fields), "InstanceField")]
    target = context.target.name
    if target not in names:
        raise Unsupported("TrainingInstances without the target of the GaussianProcessModel")
    fields = [numeric_field(context.scope, name, "InstanceField") for name in names if name != target]
    if not fields:
        raise Unsupported("TrainingInstances without a field beside the target")
    points = np.array([instances.values(field.name, field.kind) for field in fields]).T
    answers = instances.values(target, context.number_kind)
    if not (np.isfinite(points).all() and np.isfinite(answers).all()):
        raise Unsupported("TrainingInstances with a missing value")
    kernel = _read_kernel(kernels[0], len(fields))
    noise = number(kernels[0], "noiseVariance", 1.0)
    covariances = kernel.values(points, points) + noise * np.eye(len(points))
    try:
        inverse = np.linalg.inv(np.linalg.cholesky(covariances))
    except np.linalg.LinAlgError:
        raise Unsupported("a GaussianProcessModel with covariances that have no inverse") from None
    weights = inverse.T @ (inverse @ answers)
    inputs = InputMatrix(fields)
    return GaussianProcessModel(context.number_kind, inputs, points, kernel, inverse, weights, noise)


@dataclass(frozen=True, slots=True)
class _Kernel:
    """gamma exp(-factor sum (|x - z| / lambda)^degree)."""

    gamma: float
    factor: float
    degree: float
    scales: Numbers

    def values(self, rows: Numbers, points: Numbers) -> Numbers:
        """Returns the covariances of rows, shape (n, fields), and points, as shape (n, points)."""
        distances = np.zeros((len(rows), len(points)))
        for column, scale in enumerate(self.scales.tolist()):
            part = np.abs(rows[:, column, None] - points[None, :, column]) / scale
            distances += part * part if self.degree == 2.0 else part**self.degree
        return np.asarray(self.gamma * np.exp(-self.factor * distances))

    def values_of_one(self, row: Numbers, points: Numbers) -> Numbers:
        """Returns the covariances of one row, shape (fields,), and points, as shape (points,)."""
        parts = np.abs(row - points) / self.scales
        parts = parts * parts if self.degree == 2.0 else parts**self.degree
        return np.asarray(self.gamma * np.exp(-self.factor * parts.sum(axis=1)))


@dataclass(frozen=True, slots=True)
class GaussianProcessModel(WithoutClasses, WithoutEntities):
    """Implements ``Predictor``. ``inverse`` is that of the Cholesky factor of the points' covariances."""

    kind: Kind
    inputs: InputMatrix
    points: Numbers
    kernel: _Kernel
    inverse: Numbers
    weights: Numbers
    noise: float

    def predict(self, batch: Batch) -> Prediction:
        """See ``Predictor.predict``. ``more`` has the standard deviation of the answer, noise included."""
        rows = self.inputs.matrix(batch)
        step = max(1, _AT_ONCE // len(self.points))
        made = [self._some(rows[start : start + step]) for start in range(0, len(rows), step)]
        means = np.concatenate([one[0] for one in made]) if made else np.empty(0)
        deviations = np.concatenate([one[1] for one in made]) if made else np.empty(0)
        return Prediction(means, more={"standardDeviation": deviations})

    def predict_one(self, record: Record) -> Single:
        """See ``Predictor.predict_one``."""
        row = self.inputs.row(record)
        if any(map(isnan, row)):
            return Single(nan, more={"standardDeviation": nan})
        with np.errstate(all="ignore"):
            covariances = self.kernel.values_of_one(np.array(row), self.points)
            known = self.inverse @ covariances
        variance = max(self.kernel.gamma - float(known @ known), 0.0) + self.noise
        return Single(float(covariances @ self.weights), more={"standardDeviation": sqrt(variance)})

    def _some(self, rows: Numbers) -> tuple[Numbers, Numbers]:
        covariances = self.kernel.values(rows, self.points)
        known = ((covariances @ self.inverse.T) ** 2).sum(axis=1)
        return covariances @ self.weights, np.sqrt(np.maximum(self.kernel.gamma - known, 0.0) + self.noise)


def _read_kernel(element: Element, count: int) -> _Kernel:
    is_radial = element.tag == "RadialBasisKernel"
    attributes = {"description", "gamma", "noiseVariance"}
    if is_radial:
        attributes.add("lambda")
    if element.tag == "GeneralizedExponentialKernel":
        attributes.add("degree")
    parts = children(element, attributes, () if is_radial else ("Lambda",))
    if is_radial:
        scales = np.full(count, number(element, "lambda", 1.0))
    else:
        listed = only(parts, "Lambda")
        arrays = [] if listed is None else children(listed, NOTHING, ("Array",))
        if len(arrays) != 1:
            raise Unsupported(f"{element.tag} without one Lambda of one Array")
        scales = real_array(arrays[0])
    if len(scales) == 1:
        scales = np.full(count, scales[0])
    if len(scales) != count or not (scales > 0.0).all():
        raise Unsupported(f"{element.tag} with {len(scales)} lambdas above 0 for {count} fields")
    squared = element.tag in {"RadialBasisKernel", "ARDSquaredExponentialKernel"}
    degree = 2.0 if squared else number(element, "degree", 1.0)
    return _Kernel(number(element, "gamma", 1.0), 0.5 if squared else 1.0, degree, scales)
