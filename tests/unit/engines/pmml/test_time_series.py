"""TimeSeriesModel (PMML 4.4: Time Series)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from model_serving.core.errors import ModelRejected
from model_serving.engines.pmml.evaluator.model import EvaluatedModel
from tests.naive_pmml.series import forecast
from tests.pmml_cases import load_document
from tests.pmml_documents import score

SERIES = [41.7, 24.0, 32.3, 37.3, 46.2, 29.3, 36.5, 43.0]
SUPPLEMENTARY = '<MiningField name="h" usageType="supplementary"/>'
LEVEL = '<Level alpha="0.5" smoothedValue="50"/>'


def array(numbers: Sequence[float]) -> str:
    return f'<Array n="{len(numbers)}" type="real">{" ".join(map(repr, numbers))}</Array>'


def values(series: Sequence[float] = SERIES, attributes: str = "") -> str:
    made = "".join(f'<TimeValue index="{at}" value="{value!r}"/>' for at, value in enumerate(series))
    return f"<TimeSeries{attributes}>{made}</TimeSeries>"


def matrix(rows: Sequence[Sequence[float]]) -> str:
    return f'<Matrix nbRows="{len(rows)}" nbCols="{len(rows[0])}">{"".join(map(array, rows))}</Matrix>'


def model(best: str, inner: str, series: str = "", asking: str = SUPPLEMENTARY, targets: str = "") -> str:
    kinds = {"v": "double", "w": "double", "h": "integer", "t": "double", "day": "date"}
    fields = "".join(
        f'<DataField name="{name}" optype="continuous" dataType="{kind}"/>' for name, kind in kinds.items()
    )
    return (
        f'<PMML version="4.4"><Header/><DataDictionary>{fields}</DataDictionary>'
        f'<TimeSeriesModel functionName="timeSeries" bestFit="{best}"><MiningSchema>'
        f'<MiningField name="v" usageType="predicted"/>{targets}{asking}</MiningSchema>'
        f"{series}{inner}</TimeSeriesModel></PMML>"
    )


def smoothing(inner: str, series: str = "", asking: str = SUPPLEMENTARY, said: str = "") -> str:
    whole = f"<ExponentialSmoothing{said}>{LEVEL}{inner}</ExponentialSmoothing>"
    return model("ExponentialSmoothing", whole, series, asking)


def steps(text: str, *ahead: float | None) -> list[float]:
    return [float(value) for value in score(text, [{"h": one} for one in ahead]).result]


def trend(kind: str, value: float, phi: str = "") -> str:
    return f'<Trend_ExpoSmooth trend="{kind}" gamma="0.1" smoothedValue="{value}"{phi}/>'


def seasons(kind: str, factors: Sequence[float]) -> str:
    said = f'type="{kind}" period="{len(factors)}" delta="0.1"'
    return f"<Seasonality_ExpoSmooth {said}>{array(factors)}</Seasonality_ExpoSmooth>"


@pytest.mark.parametrize(
    ("inner", "right"),
    [
        ("", [50, 50]),
        (trend("additive", 2), [52, 56]),
        (trend("damped_additive", 2, ' phi="0.5"'), [51, 51.75]),
        (trend("multiplicative", 1.1), [55, 50 * 1.1**3]),
        (trend("damped_multiplicative", 1.1, ' phi="0.5"'), [50 * 1.1**0.5, 50 * 1.1**0.875]),
        (trend("additive", 2).replace("Trend_ExpoSmooth", "Trend"), [52, 56]),
    ],
)
def test_a_level_moves_on_with_its_trend(inner: str, right: list[float]) -> None:
    np.testing.assert_allclose(steps(smoothing(inner), 1, 3), right)


@pytest.mark.parametrize(
    ("kind", "right"), [("additive", [60, 48, 60]), ("multiplicative", [500, -100, 500])]
)
def test_seasons_come_again(kind: str, right: list[float]) -> None:
    text = smoothing(seasons(kind, [10, -2]), values())
    np.testing.assert_allclose(steps(text, 1, 2, 3), right)


@pytest.mark.parametrize(("said", "right"), [("logarithmic", np.exp(50)), ("squareroot", 2500)])
def test_a_transformed_series_is_transformed_back(said: str, right: float) -> None:
    assert steps(smoothing("", said=f' transformation="{said}"'), 1) == [pytest.approx(right)]


def test_a_record_that_asks_for_no_step_ahead_gets_no_result_and_is_told_why() -> None:
    text = smoothing(trend("additive", 2))
    np.testing.assert_array_equal(steps(text, 2000, 2001, 0, -1, None), [4050, *[np.nan] * 4])
    loaded = load_document(text.encode())
    why = loaded.score(np.array([[0.0], [1.0]])).why
    assert why is not None
    assert why(0) == "'h' is 0, and the model has forecasts from 1 to 2000"


def test_a_time_is_counted_as_the_series_counts_it() -> None:
    series = (
        "<TimeSeries>"
        + "".join(f'<TimeValue time="{at}" value="1"/>' for at in (10, 12.5, 15))
        + "</TimeSeries>"
    )
    text = smoothing(trend("additive", 2), series, '<MiningField name="t" usageType="order"/>')
    found = score(text, [{"t": 17.5}, {"t": 20}, {"t": 18}, {"t": 15}]).result
    np.testing.assert_array_equal(found, [52, 54, np.nan, np.nan])


def test_without_a_field_to_ask_with_every_record_gets_the_next_value() -> None:
    text = smoothing(trend("additive", 2), values(), '<MiningField name="day" usageType="order"/>')
    loaded = load_document(text.encode())
    assert loaded.fields == ()
    np.testing.assert_array_equal(loaded.score(np.empty((3, 0))).result, [52, 52, 52])
    np.testing.assert_array_equal(loaded.score(np.empty((1, 0))).result, [52])
    assert isinstance(loaded, EvaluatedModel)
    assert "every record gets the next value" in loaded.description.notes[0]


def component(
    tag: str, orders: str, ar: Sequence[float], ma: Sequence[float], errors: Sequence[float]
) -> str:
    made = f"<AR>{array(ar)}</AR>" if ar else ""
    if ma:
        made += f"<MA><MACoefficients>{array(ma)}</MACoefficients><Residuals>{array(errors)}</Residuals></MA>"
    return f"<{tag} {orders}>{made}</{tag}>"


def arima(inner: str, series: str, said: str = "") -> str:
    return model("ARIMA", f"<ARIMA{said}>{inner}</ARIMA>", series)


def test_arima_goes_on_from_the_last_values_and_errors() -> None:
    inner = component("NonseasonalComponent", 'p="1" d="1" q="1"', [0.5], [0.4], [2.0])
    first = 43.0 + 0.5 * (43.0 - 36.5) + 0.4 * 2.0
    second = first + 0.5 * (first - 43.0)
    np.testing.assert_allclose(steps(arima(inner, values()), 1, 2), [first, second])


def test_arima_knows_the_mean_of_the_series() -> None:
    inner = component("NonseasonalComponent", 'p="1" d="0" q="0"', [0.5], [], [])
    found = steps(arima(inner, values(), ' constantTerm="40"'), 1, 2, 500)
    np.testing.assert_allclose(found, [41.5, 40.75, 40])


def test_arima_forecasts_from_the_state_of_a_kalman_filter() -> None:
    state = (
        f"<FinalStateVector>{array([3, 1])}</FinalStateVector>"
        f"<TransitionMatrix>{matrix([[0.5, 1], [0, 0]])}</TransitionMatrix>"
        f"<MeasurementMatrix>{matrix([[1, 0]])}</MeasurementMatrix>"
    )
    inner = (
        component("NonseasonalComponent", 'p="0" d="0" q="0"', [], [], [])
        + f'<MaximumLikelihoodStat method="kalman" periodDeficit="0"><KalmanState>{state}</KalmanState>'
        "</MaximumLikelihoodStat>"
    )
    text = arima(inner, "", ' constantTerm="10" predictionMethod="exactLeastSquares"')
    np.testing.assert_allclose(steps(text, 1, 2, 3), [13, 12.5, 11.25])


def state_space(intercept: str = "", rows: Sequence[Sequence[float]] = ((1, 0),), targets: str = "") -> str:
    inner = (
        f"<StateVector>{array([3, 1])}</StateVector>"
        f"<TransitionMatrix>{matrix([[1, 1], [0, 1]])}</TransitionMatrix>"
        f"<MeasurementMatrix>{matrix(rows)}</MeasurementMatrix>{intercept}"
        f"<PredictedStateCovarianceMatrix>{matrix([[1, 0], [0, 1]])}</PredictedStateCovarianceMatrix>"
    )
    return model(
        "StateSpaceModel", f'<StateSpaceModel variance="2">{inner}</StateSpaceModel>', targets=targets
    )


@pytest.mark.parametrize(
    ("intercept", "right"),
    [
        ("", [3, 4, 5]),
        (f'<InterceptVector type="observation">{array([10])}</InterceptVector>', [13, 14, 15]),
        (f"<InterceptVector>{array([10, 0])}</InterceptVector>", [3, 14, 25]),
    ],
)
def test_a_state_moves_on(intercept: str, right: list[float]) -> None:
    np.testing.assert_allclose(steps(state_space(intercept), 1, 2, 3), right)


def test_a_state_gives_several_series() -> None:
    text = state_space(rows=[[1, 0], [0, 2]], targets='<MiningField name="w" usageType="predicted"/>')
    found = score(text, [{"h": 1}, {"h": 3}, {"h": 0}])
    np.testing.assert_array_equal(found.result, [3, 5, np.nan])
    np.testing.assert_array_equal(found.outputs["w"], [2, 2, np.nan])


def random_smoothing(rng: Random) -> str:
    kind = rng.choice(["additive", "damped_additive", "multiplicative", "damped_multiplicative"])
    phi = f' phi="{rng.uniform(0.5, 1)}"' if kind.startswith("damped") else ""
    inner = trend(kind, rng.uniform(0.9, 1.1), phi) if rng.random() < 0.8 else ""
    if rng.random() < 0.7:
        factors = [rng.uniform(-2, 2) for _ in range(rng.choice([1, 2, 4]))]
        inner += seasons(rng.choice(["additive", "multiplicative"]), factors)
    said = f' transformation="{rng.choice(["none", "squareroot"])}"'
    return smoothing(inner, values(), said=said)


def random_arima(rng: Random) -> str:
    def some(count: int) -> list[float]:
        return [rng.uniform(-0.5, 0.5) for _ in range(count)]

    p, d, q, more_p, more_d, more_q = (rng.choice([0, 0, 1, 2]) for _ in range(6))
    period = rng.choice([2, 3])
    inner = component("NonseasonalComponent", f'p="{p}" d="{d}" q="{q}"', some(p), some(q), some(q))
    if rng.random() < 0.6:
        errors = some(more_q * period + q)
        orders = f'P="{more_p}" D="{more_d}" Q="{more_q}" period="{period}"'
        inner += component("SeasonalComponent", orders, some(more_p), some(more_q), errors)
    return arima(
        inner, values([rng.gauss(10, 3) for _ in range(40)]), f' constantTerm="{rng.uniform(-1, 1)}"'
    )


def random_state(rng: Random) -> str:
    size = rng.randint(1, 4)

    def rows(count: int) -> list[list[float]]:
        return [[rng.choice([0.0, rng.uniform(-0.6, 0.6)]) for _ in range(size)] for _ in range(count)]

    kind, length = rng.choice([("state", size), ("observation", 1)])
    intercept = array([rng.uniform(-1, 1) for _ in range(length)])
    inner = (
        f"<StateVector>{array(rows(1)[0])}</StateVector>"
        f"<TransitionMatrix>{matrix(rows(size))}</TransitionMatrix>"
        f"<MeasurementMatrix>{matrix(rows(1))}</MeasurementMatrix>"
        f'<InterceptVector type="{kind}">{intercept}</InterceptVector>'
    )
    return model("StateSpaceModel", f"<StateSpaceModel>{inner}</StateSpaceModel>")


@pytest.mark.parametrize("made", [random_smoothing, random_arima, random_state])
@pytest.mark.parametrize("seed", range(25))
def test_a_random_series_goes_on_as_a_naive_evaluator_says(made: Callable[[Random], str], seed: int) -> None:
    text = made(Random(seed))
    element = ET.fromstring(text).find("TimeSeriesModel")
    assert element is not None
    ahead = [1, 2, 3, 5, 8, 13]
    right = [forecast(element, one) for one in ahead]
    np.testing.assert_allclose(steps(text, *ahead), right, rtol=1e-9, atol=1e-12, err_msg=text)


SEASON = seasons("additive", [1, 2, 3])
AR = component("NonseasonalComponent", 'p="1" d="0" q="0"', [0.5], [], [])
MA = component("NonseasonalComponent", 'p="0" d="0" q="2"', [], [0.5, 0.1], [1.0])


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (model("SpectralAnalysis", ""), "bestFit 'SpectralAnalysis'.* series: fit the series with an exp"),
        (
            model("GARCH", ""),
            "bestFit 'GARCH'.* series: fit the series with an exponential smoothing, an ARIMA",
        ),
        (model("ARIMA", ""), "without the ARIMA that its bestFit names"),
        (smoothing(trend("polynomial_exponential", 1)), "polynomial_exponential"),
        (smoothing(trend("additive", 1, ' phi="0.5"')), "phi '0.5'"),
        (smoothing(trend("multiplicative", -1)), "smoothedValue '-1'"),
        (smoothing(SEASON, values()), "which factor comes next"),
        (smoothing(SEASON.replace("period", 'phase="1" period')), "which factor comes next"),
        (smoothing(SEASON.replace('period="3"', 'period="4"')), "the period 4 and 3 factors"),
        (smoothing("", values() + values()), "2 TimeSeries"),
        (smoothing("", values(attributes=' usage="past"')), "usage 'past'"),
        (
            smoothing("", "", '<MiningField name="t" usageType="order"/>'),
            "MiningField 't' of the usageType order",
        ),
        (smoothing("", "", '<MiningField name="t"/><MiningField name="w"/>'), "'t', 'w', of which only one"),
        (arima(AR, ""), "the last 1 values of a TimeSeries that has 0"),
        (arima(MA, ""), "the last 2 errors, with 1 Residuals"),
        (arima(AR, values(), ' transformation="logarithmic"'), "transformation 'logarithmic'"),
        (arima(AR, values(), ' predictionMethod="exactLeastSquares"'), "without MaximumLikelihoodStat"),
        (arima(AR + "<OutlierEffect/>", values()), "OutlierEffect"),
        (arima(AR.replace('p="1"', 'p="2"'), values()), "the orders 2 and 0 with 1 AR"),
        (arima(AR.replace('d="0"', 'd="99"'), values()), "the difference 99"),
        (state_space(rows=[[1, 0], [0, 1]]), "MeasurementMatrix of 2 rows for 1 targets"),
        (state_space(rows=[[1, 0, 0]]), "matrices that do not fit"),
        (state_space(f"<InterceptVector>{array([1])}</InterceptVector>"), "InterceptVector of 1 numbers"),
        (state_space("<PsiVector/>"), "PsiVector"),
        (smoothing(trend("additive", 1) * 2), "several trends"),
    ],
)
def test_what_cannot_be_forecast_is_refused_by_name(text: str, named: str) -> None:
    with pytest.raises(ModelRejected, match=named):
        score(text, [{"h": 1}])
