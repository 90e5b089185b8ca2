"""SupportVectorMachineModel: regression, and classes by votes or by values (PMML 4.4)."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, nan
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.models.vectors import Machines, read_machines
from model_serving.engines.pmml.evaluator.prediction import (
    ModelContext,
    Prediction,
    Single,
    winner,
    winner_of_one,
)
from model_serving.engines.pmml.evaluator.reading import (
    MODEL_ATTRIBUTES,
    MODEL_PARTS,
    Unsupported,
    children,
    choice,
    flag,
    named,
    number,
    required,
)

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.batch import Batch
    from model_serving.engines.pmml.evaluator.data_types import Kind
    from model_serving.engines.pmml.evaluator.record import Record
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["KERNELS", "compile_model"]

KERNELS = ("LinearKernelType", "PolynomialKernelType", "RadialBasisKernelType", "SigmoidKernelType")
"""The elements that are kernels."""

_ATTRIBUTES = MODEL_ATTRIBUTES | {
    "threshold",
    "svmRepresentation",
    "classificationMethod",
    "maxWins",
    "alternateBinaryTargetCategory",
}
_PARTS = {*MODEL_PARTS, *KERNELS, "VectorDictionary", "SupportVectorMachine"}


def compile_model(element: Element, context: ModelContext) -> _Regression | _ByValue | _ByVotes | _Rounded:
    """Reads a SupportVectorMachineModel.

    Raises:
        Unsupported: a part of it is not known.
    """
    context.needs("regression", "classification")
    parts = children(element, _ATTRIBUTES, _PARTS)
    kernels = [part for part in parts if part.tag in KERNELS]
    if len(kernels) != 1:
        raise Unsupported("a SupportVectorMachineModel without one kernel")
    representation = choice(
        element, "svmRepresentation", ("SupportVectors", "Coefficients"), "SupportVectors"
    )
    elements = named(parts, "SupportVectorMachine")
    machines = read_machines(
        parts, kernels[0], elements, context, with_vectors=representation == "SupportVectors"
    )
    if not context.classifies:
        if len(elements) != 1:
            raise Unsupported("a SupportVectorMachineModel for regression without one SupportVectorMachine")
        return _Regression(context.number_kind, machines)
    return _of_classes(element, elements, machines, context)


def _of_classes(
    element: Element, elements: list[Element], machines: Machines, context: ModelContext
) -> _ByValue | _ByVotes | _Rounded:
    target = context.target
    firsts = [target.class_value(required(one, "targetCategory")) for one in elements]
    others = [one.get("alternateTargetCategory") for one in elements]
    largest = flag(element, "maxWins", default=False)
    alternate = element.get("alternateBinaryTargetCategory")
    if alternate is not None:
        if len(elements) != 1 or others != [None]:
            raise Unsupported("alternateBinaryTargetCategory and not one SupportVectorMachine of one class")
        return _Rounded(target.kind, machines, (firsts[0], target.class_value(alternate)))
    # Old exporters leave the method out; the second classes then tell which one it is, as JPMML has it.
    told = "OneAgainstAll" if None in others else "OneAgainstOne"
    method = choice(element, "classificationMethod", ("OneAgainstAll", "OneAgainstOne"), told)
    if len(elements) == 1 and others != [None]:
        method = "OneAgainstOne"
    if method != told:
        raise Unsupported(f"classificationMethod '{method}' with a wrong alternateTargetCategory")
    if method == "OneAgainstAll":
        if len(set(firsts)) < len(firsts):
            raise Unsupported("two SupportVectorMachines for one targetCategory")
        return _ByValue(target.kind, machines, tuple(firsts), -1.0 if not largest else 1.0)
    seconds = [target.class_value(other or "") for other in others]
    classes = list(dict.fromkeys(value for pair in zip(firsts, seconds, strict=True) for value in pair))
    if set(classes) <= set(target.values):
        classes.sort(key=target.values.index)
    default = number(element, "threshold", 0.0)
    thresholds = np.array([number(one, "threshold", default) for one in elements])
    return _ByVotes(
        target.kind,
        machines,
        tuple(classes),
        thresholds,
        np.array([classes.index(value) for value in firsts]),
        np.array([classes.index(value) for value in seconds]),
        largest,
    )


@dataclass(frozen=True, slots=True)
class _Model:
    """What all have: the type of the predicted value, and the machines' functions."""

    kind: Kind
    machines: Machines

    @property
    def entities(self) -> tuple[str, ...]:
        return ()


@dataclass(frozen=True, slots=True)
class _Regression(_Model):
    """The value of the only machine."""

    @property
    def classes(self) -> tuple[float, ...]:
        return ()

    def predict(self, batch: Batch) -> Prediction:
        return Prediction(self.machines.values(batch)[:, 0])

    def predict_one(self, record: Record) -> Single:
        values = self.machines.values_of_one(record)
        return Single(nan if values is None else values[0])


@dataclass(frozen=True, slots=True)
class _ByValue(_Model):
    """One machine against all others for each class: the least value wins, with ``maxWins`` the greatest."""

    classes: tuple[float, ...]
    sign: float

    def predict(self, batch: Batch) -> Prediction:
        values = self.sign * self.machines.values(batch)
        best = np.array(self.classes)[values.argmax(axis=1)]
        return Prediction(np.where(np.isnan(values.max(axis=1)), np.nan, best))

    def predict_one(self, record: Record) -> Single:
        values = self.machines.values_of_one(record)
        if values is None:
            return Single(nan)
        best = max(values) if self.sign > 0.0 else min(values)
        return Single(self.classes[values.index(best)])


@dataclass(frozen=True, slots=True)
class _ByVotes(_Model):
    """One machine for each pair of classes. Most votes win: the first class on ties.

    A machine votes for its first class if its value is below the threshold, with ``maxWins`` if it is above.
    The probabilities are the shares of the votes, as in JPMML; the standard says nothing about them.
    """

    classes: tuple[float, ...]
    thresholds: Numbers
    firsts: np.ndarray[tuple[int, ...], np.dtype[np.intp]]
    seconds: np.ndarray[tuple[int, ...], np.dtype[np.intp]]
    largest: bool

    def predict(self, batch: Batch) -> Prediction:
        values = self.machines.values(batch)
        chosen = values > self.thresholds if self.largest else values < self.thresholds
        votes = np.zeros((len(self.classes), batch.n))
        for machine, (first, second) in enumerate(zip(self.firsts, self.seconds, strict=True)):
            votes[first] += chosen[:, machine]
            votes[second] += ~chosen[:, machine]
        shares = votes / len(self.firsts)
        missing = np.isnan(values).any(axis=1)
        if missing.any():
            shares[:, missing] = np.nan
        return Prediction(winner(shares, self.classes), shares)

    def predict_one(self, record: Record) -> Single:
        values = self.machines.values_of_one(record)
        if values is None:
            return Single(nan, [nan] * len(self.classes))
        votes = [0] * len(self.classes)
        for value, threshold, first, second in zip(values, *self.lists, strict=True):
            chosen = value > threshold if self.largest else value < threshold
            votes[first if chosen else second] += 1
        shares = [count / len(values) for count in votes]
        return Single(winner_of_one(shares, self.classes), shares)

    @property
    def lists(self) -> tuple[list[float], list[int], list[int]]:
        """The thresholds and the places of the classes as lists."""
        return self.thresholds.tolist(), self.firsts.tolist(), self.seconds.tolist()


@dataclass(frozen=True, slots=True)
class _Rounded(_Model):
    """Two classes (PMML 3.2): a value that rounds to 1 is the first class, one that rounds to 0 the other."""

    classes: tuple[float, ...]

    def predict(self, batch: Batch) -> Prediction:
        values = np.floor(self.machines.values(batch)[:, 0] + 0.5)
        return Prediction(
            np.where(values == 1.0, self.classes[0], np.where(values == 0.0, self.classes[1], np.nan))
        )

    def predict_one(self, record: Record) -> Single:
        values = self.machines.values_of_one(record)
        if values is None:
            return Single(nan)
        rounded = floor(values[0] + 0.5)
        return Single({1: self.classes[0], 0: self.classes[1]}.get(rounded, np.nan))
