"""Forecasts, one step after the other (PMML 4.4: Time Series); only what random documents use."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["forecast"]


def forecast(model: Element, ahead: int) -> float:
    """Returns the value of a TimeSeriesModel ``ahead`` >= 1 steps after the end of its series."""
    series = [float(one.attrib["value"]) for one in model.iterfind("TimeSeries/TimeValue")]
    part = next(one for one in model if one.tag == model.get("bestFit"))
    if part.tag == "ExponentialSmoothing":
        return _smoothed(part, ahead)
    if part.tag == "ARIMA":
        return _arima(part, series, ahead)
    return {"StateSpaceModel": _state_space}[part.tag](part, ahead)


def _numbers(array: Element | None) -> list[float]:
    return [] if array is None else [float(one) for one in (array.text or "").split()]


def _smoothed(part: Element, ahead: int) -> float:
    level = float(part.find("Level").attrib["smoothedValue"])  # type: ignore[union-attr]
    trend = part.find("Trend_ExpoSmooth")
    if trend is not None:
        kind, slope = trend.get("trend", "additive"), float(trend.attrib["smoothedValue"])
        share = 1.0
        for _ in range(ahead):
            share *= float(trend.get("phi", "1"))
            level = level + share * slope if kind.endswith("additive") else level * slope**share
    season = part.find("Seasonality_ExpoSmooth")
    if season is not None:
        factors = _numbers(season.find("Array"))
        factor = factors[(ahead - 1) % len(factors)]
        level = level + factor if season.get("type") == "additive" else level * factor
    return {"none": level, "logarithmic": math.exp(level), "squareroot": level**2}[
        part.get("transformation", "none")
    ]


def _arima(part: Element, series: Sequence[float], ahead: int) -> float:
    """Differences the series, forecasts the differences, and adds them up again."""
    plain, seasonal = part.find("NonseasonalComponent"), part.find("SeasonalComponent")
    levels = [list(series)]
    lags: list[int] = []
    for component, order in ((plain, "d"), (seasonal, "D")):
        if component is not None:
            lags += [int(component.get("period", "1"))] * int(component.get(order, "0"))
    for lag in lags:
        last = levels[-1]
        levels.append([last[at] - last[at - lag] for at in range(lag, len(last))])
    mean = float(part.get("constantTerm", "0"))
    errors = max((_numbers(one) for one in part.iterfind("*/MA/Residuals/Array")), key=len, default=[])
    # The AR polynomials tell the deviations from the mean, and the MA polynomials the errors in them.
    deviations = [value - mean for value in levels[-1]]
    ar = _product(_terms(plain, "AR/Array", -1.0), _terms(seasonal, "AR/Array", -1.0))
    ma = _product(
        _terms(plain, "MA/MACoefficients/Array", 1.0), _terms(seasonal, "MA/MACoefficients/Array", 1.0)
    )
    errors = list(errors)
    for _ in range(ahead):
        value = sum(-weight * deviations[-lag] for lag, weight in ar.items() if lag)
        value += sum(weight * errors[-lag] for lag, weight in ma.items() if lag)
        deviations.append(value)
        errors.append(0.0)
    made = [value + mean for value in deviations[-ahead:]]
    for lag, level in zip(reversed(lags), reversed(levels[:-1]), strict=True):
        whole = list(level)
        for value in made:
            whole.append(value + whole[-lag])
        made = whole[-ahead:]
    return made[-1]


def _terms(component: Element | None, path: str, sign: float) -> dict[int, float]:
    terms = {0: 1.0}
    if component is not None:
        period = int(component.get("period", "1"))
        for place, weight in enumerate(_numbers(component.find(path)), start=1):
            terms[place * period] = sign * weight
    return terms


def _product(one: dict[int, float], other: dict[int, float]) -> dict[int, float]:
    made: dict[int, float] = {}
    for lag, weight in one.items():
        for more, factor in other.items():
            made[lag + more] = made.get(lag + more, 0.0) + weight * factor
    return made


def _state_space(part: Element, ahead: int) -> float:
    state = _numbers(part.find("StateVector/Array"))
    transition = [_numbers(row) for row in part.iterfind("TransitionMatrix/Matrix/Array")]
    measurement = _numbers(part.find("MeasurementMatrix/Matrix/Array"))
    vector = part.find("InterceptVector")
    intercept = [] if vector is None else _numbers(vector.find("Array"))
    of_state = vector is not None and vector.get("type", "state") == "state"
    for _ in range(ahead - 1):
        state = [
            sum(weight * value for weight, value in zip(row, state, strict=True))
            + (intercept[place] if of_state else 0.0)
            for place, row in enumerate(transition)
        ]
    made = sum(weight * value for weight, value in zip(measurement, state, strict=True))
    return made + (intercept[0] if intercept and not of_state else 0.0)
