"""The target of a model: its type, its classes, and what ``Targets`` does to a prediction."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import ceil, floor
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.data_types import OPTYPES, Kind, constant
from model_serving.engines.pmml.evaluator.reading import (
    NOTHING,
    Unsupported,
    children,
    choice,
    number,
    optional_number,
    required,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.batch import Mask
    from model_serving.engines.pmml.evaluator.prediction import Prediction, Single
    from model_serving.engines.pmml.evaluator.symbols import Numbers, Symbols

__all__ = ["Target", "read_targets"]

_CASTS: dict[str, Callable[[Numbers], Numbers]] = {
    "round": lambda values: np.floor(values + 0.5),
    "ceiling": lambda values: np.ceil(values),  # noqa: PLW0108 - ufuncs have no such type
    "floor": lambda values: np.floor(values),  # noqa: PLW0108
}
_CASTS_OF_ONE: dict[str, Callable[[float], float]] = {
    "round": lambda value: float(floor(value + 0.5)),
    "ceiling": lambda value: float(ceil(value)),
    "floor": lambda value: float(floor(value)),
}
_ATTRIBUTES = frozenset({"field", "optype", "castInteger", "min", "max", "rescaleConstant", "rescaleFactor"})


@dataclass(slots=True)
class Target:
    """The target of one model; ``name`` is empty where the document names none.

    ``further`` are the names of the targets beside this one. ``values`` are the classes that the
    DataDictionary lists, in its order. ``labels`` spell classes as the document does. ``displayed`` are the
    texts for display. ``priors`` and ``default`` stand in when the model has no answer.
    """

    name: str
    kind: Kind
    symbols: Symbols
    values: tuple[float, ...] = ()
    labels: dict[float, str] = field(default_factory=dict)
    displayed: dict[float, str] = field(default_factory=dict)
    priors: dict[float, float] = field(default_factory=dict)
    default: float | None = None
    low: float = -np.inf
    high: float = np.inf
    factor: float = 1.0
    constant: float = 0.0
    cast: str | None = None
    further: tuple[str, ...] = ()

    @property
    def all_names(self) -> tuple[str, ...]:
        """The names of all targets of the model, this one first."""
        return (self.name, *self.further) if self.name else ()

    def class_value(self, text: str) -> float:
        """Returns the value of a class that the document names.

        Raises:
            Unsupported: the text does not spell a value of the target's type.
        """
        value = constant(text, self.kind.data_type, self.symbols)
        self.labels.setdefault(value, text)
        return value

    def of_kind(self, kind: Kind) -> Target:
        """Returns the target with another type of values."""
        return replace(self, kind=kind, labels=dict(self.labels))

    def take_place(self, other: Target) -> None:
        """Becomes ``other``, the target of a part of the model, if it is a further target of this model."""
        if other.name in self.further:
            names = (*self.all_names,)
            self.name, self.kind, self.values = other.name, other.kind, other.values
            self.labels, self.displayed = dict(other.labels), dict(other.displayed)
            self.further = tuple(name for name in names if name != other.name)

    def treated(self, prediction: Prediction, classes: tuple[float, ...], *, is_number: bool) -> Prediction:
        """Returns a prediction after the target's default, limits, rescaling and rounding, in this order.

        The order is the standard's (PMML 4.4, Targets). A missing prediction takes the default value, or the
        priors of the classes. Limits, rescaling and rounding are for numbers, not for classes and clusters.
        """
        if self.changes_nothing:
            return prediction
        value = prediction.value
        missing = np.isnan(value)
        if missing.any():
            prediction = self._filled(prediction, missing, classes)
            value = prediction.value
        if self._rescales and is_number:
            prediction.value = self._rescaled(value)
        return prediction

    def treated_one(self, found: Single, classes: tuple[float, ...], *, is_number: bool) -> Single:
        """Does the same for one record alone."""
        value = found.value
        if value != value:
            if self.default is not None:
                found = found.with_value(self.default)
            elif self.priors:
                shares = (
                    None if found.probabilities is None else [self.priors.get(one, 0.0) for one in classes]
                )
                found = replace(found, value=self._likeliest, probabilities=shares)
        value = found.value
        if is_number and value == value:
            made = min(max(value, self.low), self.high) * self.factor + self.constant
            if self.cast is not None:
                made = _CASTS_OF_ONE[self.cast](made)
            if made != value:
                found = found.with_value(made)
        return found

    @property
    def changes_nothing(self) -> bool:
        """Whether every prediction stays as it is."""
        return self.default is None and not self.priors and not self._rescales

    @property
    def _rescales(self) -> bool:
        return (
            self.factor != 1.0
            or self.constant != 0.0
            or self.cast is not None
            or self.low != -np.inf
            or self.high != np.inf
        )

    @property
    def _likeliest(self) -> float:
        return max(self.priors, key=lambda one: self.priors[one])

    def _rescaled(self, values: Numbers) -> Numbers:
        made: Numbers = np.clip(values, self.low, self.high) * self.factor + self.constant
        return made if self.cast is None else _CASTS[self.cast](made)

    def _filled(self, prediction: Prediction, missing: Mask, classes: tuple[float, ...]) -> Prediction:
        value = prediction.value.copy()
        if self.default is not None:
            value[missing] = self.default
        elif self.priors:
            value[missing] = self._likeliest
            if prediction.probabilities is not None:
                probabilities = prediction.probabilities.copy()
                for row, one in enumerate(classes):
                    probabilities[row, missing] = self.priors.get(one, 0.0)
                prediction.probabilities = probabilities
        prediction.value = value
        return prediction


def read_targets(element: Element | None, target: Target) -> Target:
    """Returns the target with what ``Targets`` says about it.

    Raises:
        Unsupported: a part is not known.
    """
    if element is None:
        return target
    for part in children(element, NOTHING, ("Target",)):
        if part.get("field", target.name) not in {target.name, ""} and target.name:
            continue  # a further target of a model that predicts several
        found = children(part, _ATTRIBUTES, ("TargetValue",))
        if "optype" in part.attrib:
            target.kind = target.kind._replace(optype=choice(part, "optype", OPTYPES, None))
        if "castInteger" in part.attrib:
            target.cast = choice(part, "castInteger", tuple(_CASTS), None)
        low, high = optional_number(part, "min"), optional_number(part, "max")
        target.low = -np.inf if low is None else low
        target.high = np.inf if high is None else high
        target.factor = number(part, "rescaleFactor", 1.0)
        target.constant = number(part, "rescaleConstant", 0.0)
        for value in found:
            _read_value(value, target)
    return target


def _read_value(value: Element, target: Target) -> None:
    children(value, {"value", "displayValue", "priorProbability", "defaultValue"})
    if "defaultValue" in value.attrib:
        target.default = number(value, "defaultValue")
        return
    one = target.class_value(required(value, "value"))
    if "displayValue" in value.attrib:
        target.displayed[one] = value.get("displayValue", "")
    if "priorProbability" in value.attrib:
        prior = number(value, "priorProbability")
        if not 0.0 <= prior <= 1.0:
            raise Unsupported(f"priorProbability {prior} of TargetValue, which is not between 0 and 1")
        target.priors[one] = prior
