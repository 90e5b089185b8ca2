"""TimeSeriesModel: the value of a series some steps after its end (PMML 4.4: Time Series).

A record asks for a step: 1 is the value that follows the last one of the series. It tells the step in a field
of numbers (``h`` in the documents of R and Nyoka) or, in a field of the usageType ``order``, the time as the
TimeSeries counts it. A document without such a field gives every record the next value. The model does not
change with the records: publish it again when the series has grown.

All forecasts are computed when the document is loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.models.arima import arima_forecasts
from model_serving.engines.pmml.evaluator.models.smoothing import smoothed_forecasts
from model_serving.engines.pmml.evaluator.models.state_space import state_space_forecasts
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
    named,
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
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["TimeSeriesModel", "compile_model"]

_ALGORITHMS = ("ExponentialSmoothing", "ARIMA", "StateSpaceModel")
_OTHERS = ("SpectralAnalysis", "SeasonalTrendDecomposition", "GARCH")
_MOST_STEPS = 2_000
_CLOSE = 1e-6
"""How far from a whole step a time may be that has been rounded."""


def compile_model(element: Element, context: ModelContext) -> TimeSeriesModel:
    """Reads a TimeSeriesModel.

    Raises:
        Unsupported: a part of it is not known, or it does not say how records ask for a step.
    """
    context.needs("timeSeries", "regression")
    parts = children(
        element, MODEL_ATTRIBUTES | {"bestFit"}, {*MODEL_PARTS, "TimeSeries", *_ALGORITHMS, *_OTHERS}
    )
    if element.get("bestFit") in _OTHERS:
        raise Unsupported(
            f"bestFit '{element.get('bestFit')}' of TimeSeriesModel, which does not forecast the series",
            "fit the series with an exponential smoothing, an ARIMA or a state space",
        )
    best = choice(element, "bestFit", _ALGORITHMS, None)
    algorithm = only(parts, best)
    if algorithm is None:
        raise Unsupported(f"a TimeSeriesModel without the {best} that its bestFit names")
    targets = context.target_names or ("",)
    if len(targets) > 1 and best != "StateSpaceModel":
        raise Unsupported(f"{len(targets)} targets of a TimeSeriesModel with the bestFit '{best}'")
    series = _original(parts, targets[0])
    with np.errstate(all="ignore"):
        if best == "ARIMA":
            forecasts = arima_forecasts(algorithm, series.values, _MOST_STEPS)
        elif best == "StateSpaceModel":
            forecasts = state_space_forecasts(algorithm, len(targets), _MOST_STEPS)
        else:
            forecasts = smoothed_forecasts(algorithm, len(series.values), _MOST_STEPS)[None, :]
    horizon = _horizon(element, series, context)
    return TimeSeriesModel(context.number_kind, horizon, _table(forecasts), targets[1:])


@dataclass(frozen=True, slots=True)
class _Series:
    """The original series, the oldest value first, and the times of its values if the document has them."""

    values: Numbers
    times: Numbers


def _original(parts: list[Element], target: str) -> _Series:
    """Reads the original series of a target; it is empty if the document has none."""
    found = []
    for part in named(parts, "TimeSeries"):
        usage = choice(part, "usage", ("original", "logical", "prediction"), "original")
        if usage == "original" and part.get("field", target) in {target, ""}:
            found.append(part)
    if len(found) > 1:
        raise Unsupported(f"{len(found)} TimeSeries of the usage 'original' where one belongs")
    if not found:
        return _Series(np.empty(0), np.empty(0))
    attributes = {"usage", "startTime", "endTime", "interpolationMethod", "field"}
    values = named(children(found[0], attributes, ("TimeAnchor", "TimeValue")), "TimeValue")
    for value in values:
        children(value, {"index", "time", "value", "standardError"}, ("Timestamp",))
    times = [number(value, "time" if "time" in value.attrib else "index", np.nan) for value in values]
    series = _Series(np.array([number(value, "value") for value in values]), np.array(times))
    if (np.diff(series.times) <= 0.0).any():
        raise Unsupported("a TimeSeries in which a TimeValue is not later than the one before")
    return series


@dataclass(frozen=True, slots=True)
class _Horizon:
    """The step that a record asks for: (value - last) / step of its field; the first one without a field."""

    field: Field | None
    last: float = 0.0
    step: float = 1.0

    def places(self, batch: Batch, count: int) -> Numbers:
        """Returns the steps less one, shape (n,); ``count`` for a record that asks for none of ``count``."""
        if self.field is None:
            return np.zeros(batch.n)
        asked = (batch.value(self.field) - self.last) / self.step
        whole = np.rint(asked)
        fits = (np.abs(asked - whole) <= _CLOSE) & (whole >= 1.0) & (whole <= count)
        return np.where(fits, whole - 1.0, count)

    def place_of_one(self, record: Record, count: int) -> int:
        """Does the same for one record alone (raises as ``Expression.one``)."""
        if self.field is None:
            return 0
        asked = (self.field.one(record) - self.last) / self.step
        whole = round(asked)
        return whole - 1 if abs(asked - whole) <= _CLOSE and 1 <= whole <= count else count


def _horizon(element: Element, series: _Series, context: ModelContext) -> _Horizon:
    schema = only(list(element), "MiningSchema")
    asking: dict[str, list[Field]] = {"active": [], "supplementary": [], "order": []}
    for mining in [] if schema is None else named(list(schema), "MiningField"):
        usage = mining.get("usageType", "active")
        field = context.scope.find(required(mining, "name")) if usage in asking else None
        if field is not None and field.kind.is_number:
            if field.column < 0 and field.expression is None:
                raise Unsupported(
                    f"MiningField '{field.name}' for the step ahead, which the outer model does not take"
                )
            asking[usage].append(field)
    steps, orders = asking["active"] + asking["supplementary"], asking["order"]
    if len(steps) > 1:
        steps = [field for field in steps if field.name == "h"] or steps
    if len(steps or orders) > 1:
        names = ", ".join(f"'{field.name}'" for field in steps or orders)
        raise Unsupported(f"the MiningFields {names}, of which only one can tell the step ahead")
    if steps:
        return _Horizon(steps[0])
    if orders:
        return _of_times(orders[0], series)
    context.program.warn(
        "every record gets the next value of the series: add a MiningField 'h' of the usageType "
        "supplementary to ask for the step ahead"
    )
    return _Horizon(None)


def _of_times(field: Field, series: _Series) -> _Horizon:
    steps = np.diff(series.times)
    if not len(steps) or not np.allclose(steps, steps[0], rtol=_CLOSE):
        raise Unsupported(
            f"MiningField '{field.name}' of the usageType order, but no TimeSeries with times at equal "
            "distances (to ask for the step ahead, use a MiningField 'h' of the usageType supplementary)"
        )
    return _Horizon(field, float(series.times[-1]), float(steps[0]))


def _table(forecasts: Numbers) -> Numbers:
    """Returns the forecasts with a column of NaN more, for records that ask for no step."""
    made = np.full((len(forecasts), forecasts.shape[1] + 1), np.nan)
    made[:, :-1] = np.where(np.isfinite(forecasts), forecasts, np.nan)
    return made


@dataclass(frozen=True, slots=True)
class TimeSeriesModel(WithoutClasses, WithoutEntities):
    """Implements ``Predictor``. ``forecasts`` has the shape (targets, steps + 1), the last column NaN.

    ``further_numbers`` are the names of the targets after the first.
    """

    kind: Kind
    horizon: _Horizon
    forecasts: Numbers
    further_numbers: tuple[str, ...]

    @property
    def steps(self) -> int:
        """How many steps ahead there are forecasts for."""
        return int(self.forecasts.shape[1]) - 1

    def predict(self, batch: Batch) -> Prediction:
        """See ``Predictor.predict``."""
        places = self.horizon.places(batch, self.steps).astype(np.intp)
        found = self.forecasts.take(places, axis=1)
        return Prediction(found[0], more=dict(zip(self.further_numbers, found[1:], strict=True)))

    def predict_one(self, record: Record) -> Single:
        """See ``Predictor.predict_one``."""
        found = self.forecasts[:, self.horizon.place_of_one(record, self.steps)].tolist()
        return Single(found[0], more=dict(zip(self.further_numbers, found[1:], strict=True)))

    def why(self, batch: Batch, record: int) -> str:
        """Returns why a record that has all its values has no result."""
        field = self.horizon.field
        if field is None:
            return ""
        value = float(batch.value(field)[record])
        first, last = (self.horizon.last + self.horizon.step * step for step in (1, self.steps))
        return f"'{field.name}' is {value:g}, and the model has forecasts from {first:g} to {last:g}"
