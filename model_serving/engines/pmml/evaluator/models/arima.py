"""ARIMA: a series as a sum of its past and of past errors (PMML 4.4: Time Series).

With B y[t] = y[t - 1], the period s and the differenced series w = (1 - B)^d (1 - B^s)^D y, the model is

    phi(B) PHI(B^s) (w - mu) = theta(B) THETA(B^s) e,

    phi(B) = 1 - ar1 B - ar2 B^2 - ...,  theta(B) = 1 + ma1 B + ma2 B^2 + ...

``constantTerm`` is mu, the mean of w. The signs are those of R and statsmodels, because the exporters (pmml
of R, Nyoka) copy the coefficients. ``conditionalLeastSquares`` forecasts from the last values and the last
errors, with future errors of zero. ``exactLeastSquares`` forecasts from the state of a Kalman filter, if the
document has its matrices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from model_serving.engines.pmml.evaluator.models.state_space import kalman_forecasts
from model_serving.engines.pmml.evaluator.reading import (
    NOTHING,
    Unsupported,
    children,
    choice,
    number,
    only,
    real_array,
    whole_number,
)

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["arima_forecasts"]

_METHODS = ("conditionalLeastSquares", "exactLeastSquares")
_MOST_LAGS = 20_000
_MOST_DIFFERENCES = 10


class _Component(NamedTuple):
    """A component. ``ar`` and ``ma`` are its coefficients, ``errors`` the last errors, the oldest first."""

    ar: Numbers
    differences: int
    ma: Numbers
    errors: Numbers
    period: int


_NOTHING = _Component(np.empty(0), 0, np.empty(0), np.empty(0), 1)


def arima_forecasts(element: Element, series: Numbers, steps: int) -> Numbers:
    """Returns the values up to ``steps`` steps ahead, shape (1, steps).

    Args:
        element: the ARIMA.
        series: the original series, shape (n,), the oldest value first.
        steps: how many values to forecast.

    Raises:
        Unsupported: a part of it is not known, or values or errors that it needs are not there.
    """
    parts = children(
        element,
        {"RMSE", "transformation", "constantTerm", "predictionMethod"},
        ("NonseasonalComponent", "SeasonalComponent", "MaximumLikelihoodStat"),
    )
    choice(element, "transformation", ("none",), "none")
    mean = number(element, "constantTerm", 0.0)
    method = choice(element, "predictionMethod", _METHODS, "conditionalLeastSquares")
    plain = _component(only(parts, "NonseasonalComponent"), "pdq")
    seasonal = _component(only(parts, "SeasonalComponent"), "PDQ")
    if method == "exactLeastSquares":
        if mean != 0.0 and plain.differences + seasonal.differences:
            raise Unsupported(
                "predictionMethod 'exactLeastSquares' with a constantTerm of a differenced series"
            )
        return kalman_forecasts(_kalman_state(parts), mean, steps)
    return _conditional(plain, seasonal, mean, series, steps)[None, :]


def _component(element: Element | None, orders: str) -> _Component:
    """Reads a component; ``orders`` are the names of its three orders."""
    if element is None:
        return _NOTHING
    is_seasonal = orders == "PDQ"
    attributes = {*orders, "period"} if is_seasonal else set(orders)
    parts = children(element, attributes, ("AR", "MA"))
    ar_order, differences, ma_order = (whole_number(element, name, 0) for name in orders)
    period = whole_number(element, "period") if is_seasonal else 1
    ar_part, ma_part = only(parts, "AR"), only(parts, "MA")
    ar = np.empty(0) if ar_part is None else _numbers(ar_part)
    ma, errors = np.empty(0), np.empty(0)
    if ma_part is not None:
        inner = children(ma_part, NOTHING, ("MACoefficients", "Residuals"))
        coefficients, residuals = only(inner, "MACoefficients"), only(inner, "Residuals")
        ma = ma if coefficients is None else _numbers(coefficients)
        errors = errors if residuals is None else _numbers(residuals)
    if (len(ar), len(ma)) != (ar_order, ma_order):
        raise Unsupported(
            f"{element.tag} of the orders {ar_order} and {ma_order} with {len(ar)} AR and {len(ma)} MA "
            "coefficients"
        )
    most = _MOST_LAGS // max(period, 1)
    if period < 1 or max(ar_order, ma_order) > most or not 0 <= differences <= min(_MOST_DIFFERENCES, most):
        raise Unsupported(f"{element.tag} of the period {period} and the difference {differences}")
    return _Component(ar, differences, ma, errors, period)


def _numbers(element: Element) -> Numbers:
    arrays = children(element, NOTHING, ("Array",))
    if len(arrays) != 1:
        raise Unsupported(f"{element.tag} without one Array")
    return real_array(arrays[0])


def _kalman_state(parts: list[Element]) -> Element:
    statistics = only(parts, "MaximumLikelihoodStat")
    if statistics is None:
        raise Unsupported("predictionMethod 'exactLeastSquares' without MaximumLikelihoodStat")
    inner = children(statistics, {"method", "periodDeficit"}, ("KalmanState",))
    choice(statistics, "method", ("kalman",), None)
    if len(inner) != 1:
        raise Unsupported("MaximumLikelihoodStat without one KalmanState")
    return inner[0]


def _polynomial(coefficients: Numbers, period: int) -> Numbers:
    """Returns 1 + c1 B^period + c2 B^(2 period) + ... as its coefficients by power."""
    made = np.zeros(len(coefficients) * period + 1)
    made[0] = 1.0
    made[period::period] = coefficients
    return made


def _conditional(
    plain: _Component, seasonal: _Component, mean: float, series: Numbers, steps: int
) -> Numbers:
    past = np.convolve(_polynomial(-plain.ar, 1), _polynomial(-seasonal.ar, seasonal.period))
    constant = mean * float(past.sum())
    for component in (plain, seasonal):
        for _ in range(component.differences):
            past = np.convolve(past, _polynomial(np.array([-1.0]), component.period))
    errors = np.convolve(_polynomial(plain.ma, 1), _polynomial(seasonal.ma, seasonal.period))
    # The seasonal component has the errors of both, if there is one.
    known = max(plain.errors, seasonal.errors, key=len)
    lags, error_lags = len(past) - 1, len(errors) - 1
    if len(series) < lags or not np.isfinite(series[len(series) - lags :]).all():
        raise Unsupported(
            f"an ARIMA that needs the last {lags} values of a TimeSeries that has {len(series)}"
        )
    if len(known) < error_lags:
        raise Unsupported(f"an ARIMA that needs the last {error_lags} errors, with {len(known)} Residuals")
    made = np.concatenate((series[len(series) - lags :], np.zeros(steps)))
    used = np.flatnonzero(past[1:])
    weights = -past[1:][used]
    backwards = lags - 1 - used
    recent = known[len(known) - error_lags :]
    for step in range(steps):
        value = constant + float(weights @ made[step + backwards])
        if step < error_lags:
            value += float(errors[step + 1 :] @ recent[step:][::-1])
        made[lags + step] = value
    forecasts: Numbers = made[lags:]
    return forecasts
