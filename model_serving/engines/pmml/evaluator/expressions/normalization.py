"""``NormContinuous`` and ``NormDiscrete``: numbers to calculate with (PMML 4.4: Transformations)."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.data_types import DOUBLE, Kind, constant
from model_serving.engines.pmml.evaluator.expressions.operands import as_number
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
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.batch import Batch
    from model_serving.engines.pmml.evaluator.record import Record
    from model_serving.engines.pmml.evaluator.scope import Expression, Field, Scope
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["Indicator", "Piecewise", "compile_expression", "read_piecewise"]

_OUTLIERS = ("asIs", "asMissingValues", "asExtremeValues")


def compile_expression(element: Element, scope: Scope) -> Expression:
    """Reads a ``NormContinuous`` or a ``NormDiscrete``.

    Raises:
        Unsupported: a part of it is not known.
    """
    if element.tag == "NormContinuous":
        return read_piecewise(element, scope)
    children(element, {"field", "value", "method", "mapMissingTo"})
    choice(element, "method", ("indicator",), "indicator")
    field = scope.field(element.get("field"))
    return Indicator(field, _wanted(required(element, "value"), field, scope), _when_missing(element))


def _wanted(text: str, field: Field, scope: Scope) -> float:
    data_type = "double" if field.kind.data_type == "integer" else field.kind.data_type
    try:
        return constant(text, data_type, scope.program.symbols)
    except Unsupported:
        return np.nan  # no value of the field's type is spelled like that, so none is equal to it


def _when_missing(element: Element) -> float:
    replacement = optional_number(element, "mapMissingTo")
    return np.nan if replacement is None else replacement


@dataclass(frozen=True, slots=True)
class Indicator:
    """1 where a field has a value, 0 where it has another."""

    field: Field
    value: float
    when_missing: float
    kind: Kind = DOUBLE

    def one(self, record: Record) -> float:
        """See ``Expression.one``."""
        value = self.field.one(record)
        return float(value == self.value) if value == value else self.when_missing

    def evaluate(self, batch: Batch) -> Numbers:
        """See ``Expression.evaluate``."""
        values = batch.value(self.field)
        made: Numbers = (values == self.value).astype(np.float64)
        total = np.add.reduce(values)
        if total != total:
            made[np.isnan(values)] = self.when_missing
        return made


_ORIGIN = itemgetter(0)


@dataclass(frozen=True, slots=True)
class Piecewise:
    """Straight lines between points (``origins``, ``norms``), shape (points,), at least two, ascending."""

    argument: Expression
    origins: Numbers
    norms: Numbers
    outliers: str
    when_missing: float
    kind: Kind = DOUBLE
    _points: list[tuple[float, float]] = dataclass_field(init=False, repr=False)

    def __post_init__(self) -> None:
        points = list(zip(self.origins.tolist(), self.norms.tolist(), strict=True))
        object.__setattr__(self, "_points", points)

    def one(self, record: Record) -> float:
        """See ``Expression.one``."""
        value = self.argument.one(record)
        if value != value:
            return self.when_missing
        points = self._points
        least, greatest = points[0][0], points[-1][0]
        if self.outliers == "asExtremeValues":
            value = min(max(value, least), greatest)
        elif self.outliers == "asMissingValues" and not least <= value <= greatest:
            return self.when_missing
        place = 0 if len(points) == 2 else bisect_right(points, value, 1, len(points) - 1, key=_ORIGIN) - 1
        (low, start), (high, end) = points[place], points[place + 1]
        return start + (value - low) / (high - low) * (end - start)

    def evaluate(self, batch: Batch) -> Numbers:
        """See ``Expression.evaluate``."""
        values = self.argument.evaluate(batch)
        made = self.applied(values)
        if self.when_missing == self.when_missing:
            missing = np.isnan(values)
            if missing.any():
                made[missing] = self.when_missing
        return made

    def applied(self, values: Numbers) -> Numbers:
        """Returns the normalised values of shape (n,), NaN for NaN."""
        origins, norms = self.origins, self.norms
        if self.outliers == "asExtremeValues":
            values = np.minimum(np.maximum(values, origins[0]), origins[-1])
        if len(origins) == 2:
            low, high, start, end = origins[0], origins[1], norms[0], norms[1]
        else:
            place = np.searchsorted(origins[1:-1], values, side="right")
            low, high, start, end = origins[place], origins[place + 1], norms[place], norms[place + 1]
        made: Numbers = start + (values - low) / (high - low) * (end - start)
        if self.outliers == "asMissingValues":
            made = np.where((values < origins[0]) | (values > origins[-1]), self.when_missing, made)
        return made

    def inverted(self, values: Numbers) -> Numbers:
        """Returns the values whose normalised values are ``values`` (for targets of neural networks)."""
        origins, norms = self.origins, self.norms
        if norms[-1] < norms[0]:
            origins, norms = origins[::-1], norms[::-1]
        place = np.searchsorted(norms[1:-1], values, side="right")
        slope = (origins[place + 1] - origins[place]) / (norms[place + 1] - norms[place])
        made: Numbers = (values - norms[place]) * slope + origins[place]
        return made


def read_piecewise(element: Element, scope: Scope) -> Piecewise:
    """Reads a ``NormContinuous``.

    Raises:
        Unsupported: a part of it is not known, or its points do not ascend.
    """
    parts = children(element, {"field", "mapMissingTo", "outliers"}, ("LinearNorm",))
    for part in parts:
        children(part, {"orig", "norm"}, NOTHING)
    origins = np.array([number(part, "orig") for part in parts])
    norms = np.array([number(part, "norm") for part in parts])
    if len(origins) < 2 or not (np.diff(origins) > 0).all():
        raise Unsupported("a NormContinuous without two or more LinearNorm in ascending order of orig")
    return Piecewise(
        as_number(scope.field(element.get("field")), scope.program),
        origins,
        norms,
        choice(element, "outliers", _OUTLIERS, "asIs"),
        _when_missing(element),
    )
