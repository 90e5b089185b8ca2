"""StateSpaceModel: a linear state that moves on step by step (PMML 4.4: Time Series).

The StateVector s belongs to the first step ahead, as exporters write it. With the TransitionMatrix F, the
MeasurementMatrix G and the InterceptVector c, the values of a step are G s (+ c, if it is of the type
``observation``), and the next state is F s (+ c, if it is of the type ``state``). Variances tell how sure the
forecasts are, and do not change them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.reading import (
    NOTHING,
    Unsupported,
    children,
    choice,
    matrix,
    number,
    only,
    real_array,
)

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["kalman_forecasts", "state_space_forecasts"]

_VARIANCES = ("PredictedStateCovarianceMatrix", "SelectedStateCovarianceMatrix", "ObservationVarianceMatrix")
_MOST_PRODUCTS = 100_000_000


def state_space_forecasts(element: Element, series: int, steps: int) -> Numbers:
    """Returns the values up to ``steps`` steps ahead, shape (series, steps); fewer for a very large state.

    Args:
        element: the StateSpaceModel.
        series: how many series the model forecasts.
        steps: how many values of each to forecast.

    Raises:
        Unsupported: a part of it is not known, or sizes do not fit.
    """
    parts = children(
        element,
        {"variance", "period", "intercept"},
        ("StateVector", "TransitionMatrix", "MeasurementMatrix", "InterceptVector", *_VARIANCES),
    )
    choice(element, "period", ("none",), "none")
    if number(element, "intercept", 0.0) != 0.0:
        raise Unsupported("the attribute intercept of StateSpaceModel, which InterceptVector has replaced")
    state, transition, measurement = _state_of(parts, "StateVector", element.tag)
    if len(measurement) != series:
        raise Unsupported(f"a MeasurementMatrix of {len(measurement)} rows for {series} targets")
    moved, observed = np.zeros(len(state)), np.zeros((series, 1))
    vector = only(parts, "InterceptVector")
    if vector is not None:
        of_state = choice(vector, "type", ("state", "observation"), "state") == "state"
        intercept = _vector(vector, {"type"})
        if len(intercept) != (len(state) if of_state else series):
            raise Unsupported(f"an InterceptVector of {len(intercept)} numbers for a state of {len(state)}")
        if of_state:
            moved = intercept
        else:
            observed = intercept[:, None]
    return measurement @ _states(state, transition, moved, steps) + observed


def kalman_forecasts(element: Element, constant: float, steps: int) -> Numbers:
    """Returns the values that a KalmanState of an ARIMA gives, shape (1, steps).

    ``constant`` is the mean of the series. The package pmml of R writes both matrices into the KalmanState.

    Raises:
        Unsupported: the matrices are not there, or a part is not known.
    """
    parts = children(
        element,
        NOTHING,
        ("FinalOmega", "FinalStateVector", "HVector", "TransitionMatrix", "MeasurementMatrix"),
    )
    state, transition, measurement = _state_of(parts, "FinalStateVector", element.tag)
    if len(measurement) != 1:
        raise Unsupported(f"a MeasurementMatrix of {len(measurement)} rows for one target")
    return measurement @ _states(state, transition, np.zeros(len(state)), steps) + constant


def _state_of(parts: list[Element], vector: str, owner: str) -> tuple[Numbers, Numbers, Numbers]:
    """Returns the state, shape (n,), the TransitionMatrix (n, n) and the MeasurementMatrix (series, n)."""
    found = only(parts, vector)
    if found is None:
        raise Unsupported(f"a {owner} without {vector}")
    state = _vector(found, NOTHING)
    matrices = []
    for tag in ("TransitionMatrix", "MeasurementMatrix"):
        part = only(parts, tag)
        inner = [] if part is None else children(part, NOTHING, ("Matrix",))
        if len(inner) != 1:
            raise Unsupported(f"a {owner} without a {tag} of one Matrix")
        matrices.append(matrix(inner[0]))
    transition, measurement = matrices
    if transition.shape != (len(state), len(state)) or measurement.shape[1] != len(state):
        raise Unsupported(f"a {owner} with matrices that do not fit a state of {len(state)} numbers")
    return state, transition, measurement


def _vector(element: Element, attributes: frozenset[str] | set[str]) -> Numbers:
    arrays = children(element, attributes, ("Array",))
    if len(arrays) != 1:
        raise Unsupported(f"{element.tag} without one Array")
    return real_array(arrays[0])


def _states(state: Numbers, transition: Numbers, moved: Numbers, steps: int) -> Numbers:
    """Returns the states of the steps, shape (n, steps). Transitions are mostly zeros, which are left out."""
    present = transition != 0.0
    present[:, 0] |= ~present.any(axis=1)
    rows, columns = np.nonzero(present)
    weights = transition[rows, columns]
    starts = np.searchsorted(rows, np.arange(len(state)))
    made = np.empty((max(1, min(steps, _MOST_PRODUCTS // len(weights))), len(state)))
    for step in range(len(made)):
        made[step] = state
        state = np.add.reduceat(weights * state[columns], starts) + moved
    return made.T
