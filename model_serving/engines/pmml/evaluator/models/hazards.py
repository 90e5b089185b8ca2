"""The baseline of a Cox regression: cumulative hazards by time and stratum (PMML 4.4: General Regression)."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from math import exp, nan
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.data_types import constant
from model_serving.engines.pmml.evaluator.models.linear import numeric_field
from model_serving.engines.pmml.evaluator.reading import (
    Unsupported,
    children,
    named,
    number,
    only,
    optional_number,
    required,
)

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.batch import Batch
    from model_serving.engines.pmml.evaluator.record import Record
    from model_serving.engines.pmml.evaluator.scope import Field, Scope
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["Hazard", "read_hazard"]


@dataclass(frozen=True, slots=True)
class _Baseline:
    """A step function of rising ``times``; ``hazards[i + 1]`` holds from ``times[i]`` on, until ``last``."""

    times: Numbers
    hazards: Numbers
    last: float
    plain: tuple[list[float], list[float]]
    """The times and the hazards as plain numbers."""

    def at(self, times: Numbers) -> Numbers:
        """Returns the cumulative hazard: 0 before the first time, NaN after the last or where the time is."""
        place = np.searchsorted(self.times, times, side="right")
        return np.where(times <= self.last, self.hazards[place], np.nan)

    def at_one(self, time: float) -> float:
        """Does the same for one time."""
        times, hazards = self.plain
        return hazards[bisect_right(times, time)] if time <= self.last else nan


@dataclass(frozen=True, slots=True)
class Hazard:
    """Computes cumulative hazards. The field ``strata`` chooses the baseline; None if there is only one."""

    time: Field
    strata: Field | None
    baselines: dict[float, _Baseline]

    def cumulative(self, batch: Batch, score: Numbers) -> Numbers:
        """Returns H(t) = H0(t) exp(score) at each record's end time, shape (n,).

        It is 0 before the first time of the baseline, and NaN after its greatest time and in a stratum that
        the model does not have.
        """
        times = batch.value(self.time)
        if self.strata is None:
            base = self.baselines[0.0].at(times)
        else:
            stratum = batch.value(self.strata)
            base = np.full(batch.n, np.nan)
            for value, baseline in self.baselines.items():
                base = np.where(stratum == value, baseline.at(times), base)
        return np.where(base == 0.0, 0.0, base * np.exp(score))

    def cumulative_of_one(self, record: Record, score: float) -> float:
        """Does the same for one record alone (raises as ``Expression.one``)."""
        baseline = self.baselines.get(0.0 if self.strata is None else self.strata.one(record))
        base = nan if baseline is None else baseline.at_one(self.time.one(record))
        return 0.0 if base == 0.0 else base * exp(score)


def read_hazard(element: Element, parts: list[Element], scope: Scope) -> Hazard:
    """Reads what a GeneralRegressionModel of modelType CoxRegression says about its baseline.

    The start time, the status and the subject's id tell how the model was made: scoring does not need them.

    Raises:
        Unsupported: a part of it is not known, or it is missing.
    """
    time = numeric_field(scope, required(element, "endTimeVariable"), "endTimeVariable")
    tables = only(parts, "BaseCumHazardTables")
    if tables is None:
        raise Unsupported("a CoxRegression without BaseCumHazardTables")
    found = children(tables, {"maxTime"}, ("BaselineCell", "BaselineStratum"))
    name = element.get("baselineStrataVariable")
    if name is None:
        if named(found, "BaselineStratum"):
            raise Unsupported("BaselineStratum without baselineStrataVariable")
        return Hazard(time, None, {0.0: _read_baseline(tables, found)})
    strata = scope.field(name)
    baselines: dict[float, _Baseline] = {}
    for part in found:
        if part.tag != "BaselineStratum":
            raise Unsupported(
                "BaselineCell outside of a BaselineStratum in a model with baselineStrataVariable"
            )
        cells = children(part, {"value", "label", "maxTime"}, ("BaselineCell",))
        value = constant(required(part, "value"), strata.kind.data_type, scope.program.symbols)
        baselines[value] = _read_baseline(part, cells)
    return Hazard(time, strata, baselines)


def _read_baseline(element: Element, cells: list[Element]) -> _Baseline:
    if not cells:
        raise Unsupported(f"{element.tag} without a BaselineCell")
    for cell in cells:
        children(cell, {"time", "cumHazard"})
    points = sorted((number(cell, "time"), number(cell, "cumHazard")) for cell in cells)
    last = optional_number(element, "maxTime")
    times = np.array([time for time, _ in points])
    hazards = np.array([0.0, *(hazard for _, hazard in points)])
    plain = (times.tolist(), hazards.tolist())
    return _Baseline(times, hazards, points[-1][0] if last is None else last, plain)
