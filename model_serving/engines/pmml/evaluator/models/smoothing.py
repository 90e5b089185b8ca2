"""ExponentialSmoothing: forecasts from the last level, trend and seasonal factors (PMML 4.4: Time Series).

With the level L, the trend T, the damping phi and D(h) = phi + phi^2 + ... + phi^h, the value h steps ahead
is

=====================  ===========
no trend               L
additive               L + h T
damped_additive        L + D(h) T
multiplicative         L T^h
damped_multiplicative  L T^D(h)
=====================  ===========

Seasonal factors are added to it or multiplied with it. ``transformation`` says that the series was
transformed before it was smoothed, so forecasts are transformed back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.reading import (
    Unsupported,
    children,
    choice,
    named,
    number,
    only,
    real_array,
    whole_number,
)

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["smoothed_forecasts"]

# Before PMML 4.1 the trend was called Trend.
_TRENDS = ("Trend_ExpoSmooth", "Trend")
_DAMPED = ("damped_additive", "damped_multiplicative")


def smoothed_forecasts(element: Element, series_length: int, steps: int) -> Numbers:
    """Returns the values 1 to ``steps`` steps ahead, shape (steps,).

    Args:
        element: the ExponentialSmoothing.
        series_length: how many values of the original series the document has; 0 if it has none.
        steps: how many values to forecast.

    Raises:
        Unsupported: a part of it is not known, or it does not say which season comes next.
    """
    parts = children(
        element,
        {"RMSE", "transformation"},
        ("Level", *_TRENDS, "Seasonality_ExpoSmooth", "TimeValue"),
    )
    transformation = choice(element, "transformation", ("none", "logarithmic", "squareroot"), "none")
    level = only(parts, "Level")
    if level is None:
        raise Unsupported("an ExponentialSmoothing without Level")
    # Nyoka writes the first level and the first trend too, which forecasts do not need.
    children(level, {"alpha", "smoothedValue", "initialLevelValue"})
    ahead = np.arange(1.0, steps + 1.0)
    made = np.full(steps, number(level, "smoothedValue"))
    trends = [part for part in parts if part.tag in _TRENDS]
    if len(trends) > 1:
        raise Unsupported("an ExponentialSmoothing with several trends")
    if trends:
        made = _with_trend(made, trends[0], ahead)
    seasonality = only(named(parts, "Seasonality_ExpoSmooth"), "Seasonality_ExpoSmooth")
    if seasonality is not None:
        factors = np.resize(_factors(seasonality, series_length), steps)
        is_added = choice(seasonality, "type", ("additive", "multiplicative"), None) == "additive"
        made = made + factors if is_added else made * factors
    if transformation == "logarithmic":
        return np.asarray(np.exp(made))
    return made * made if transformation == "squareroot" else made


def _with_trend(level: Numbers, element: Element, ahead: Numbers) -> Numbers:
    children(element, {"trend", "gamma", "phi", "smoothedValue", "initialTrendValue"})
    kind = choice(element, "trend", ("additive", "multiplicative", *_DAMPED), "additive")
    trend = number(element, "smoothedValue")
    phi = number(element, "phi", 1.0)
    if kind not in _DAMPED and phi != 1.0:
        raise Unsupported(f"phi '{element.get('phi')}' of {element.tag} with the trend '{kind}'")
    distance = np.cumsum(phi**ahead) if kind in _DAMPED else ahead
    if kind.endswith("additive"):
        return level + trend * distance
    if not trend > 0.0:
        raise Unsupported(f"smoothedValue '{trend:g}' of {element.tag} with the trend '{kind}'")
    return np.asarray(level * trend**distance)


def _factors(element: Element, series_length: int) -> Numbers:
    """Returns the seasonal factors in the order of the forecasts.

    Exporters write the factors of the first season of the series or those of the last. In both cases the
    first factor comes next where the series is a whole number of seasons.
    """
    arrays = children(element, {"type", "period", "unit", "phase", "delta"}, ("Array",))
    period = whole_number(element, "period")
    if len(arrays) != 1:
        raise Unsupported("Seasonality_ExpoSmooth without one Array")
    factors = real_array(arrays[0])
    if period < 1 or len(factors) != period:
        raise Unsupported(f"Seasonality_ExpoSmooth with the period {period} and {len(factors)} factors")
    if "phase" in element.attrib or series_length % period:
        raise Unsupported(
            "a Seasonality_ExpoSmooth of which it is not clear which factor comes next (it must be the first "
            "one, without a phase, and the TimeSeries must be empty or as long as whole periods)"
        )
    return factors
