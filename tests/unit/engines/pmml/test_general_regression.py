"""GeneralRegressionModel: model types, link functions, factors and hazards (PMML 4.4, General Regression)."""

from __future__ import annotations

from collections.abc import Callable
from math import atan, erfc, exp, pi, sqrt
from typing import Any

import numpy as np
import pytest

from model_serving.core.errors import ModelRejected
from tests.pmml_documents import document, score

FIELDS = {"x": "double", "z": "double", "c": "string: a b d", "h": "double"}
PARAMETERS = (
    "<ParameterList>"
    + "".join(f'<Parameter name="{name}" referencePoint="2"/>' for name in ("p0", "p1", "p2", "p3", "p4"))
    + "</ParameterList>"
)
LISTS = (
    '<FactorList><Predictor name="c"/></FactorList>'
    '<CovariateList><Predictor name="x"/><Predictor name="z"/></CovariateList>'
)
MEANINGS = (
    "<PPMatrix>"
    '<PPCell value="1" predictorName="x" parameterName="p1"/>'
    '<PPCell value="2" predictorName="x" parameterName="p2"/>'
    '<PPCell value="b" predictorName="c" parameterName="p3"/>'
    '<PPCell value="d" predictorName="c" parameterName="p4"/>'
    '<PPCell value="1" predictorName="z" parameterName="p4"/></PPMatrix>'
)


def cells(*betas: float, target: str = "") -> str:
    said = f' targetCategory="{target}"' if target else ""
    return "".join(
        f'<PCell{said} parameterName="p{place}" beta="{beta}"/>' for place, beta in enumerate(betas)
    )


def general(
    matrix: str,
    model_type: str,
    fields: dict[str, str] = FIELDS,
    *,
    lists: str = LISTS,
    meanings: str = MEANINGS,
    more: str = "",
    **attributes: Any,
) -> str:
    said = "".join(f' {name}="{value}"' for name, value in attributes.items())
    target = "h" if "h" in fields else "y"
    function = "regression" if "h" in fields else "classification"
    return document(
        f'<GeneralRegressionModel functionName="{function}" modelType="{model_type}"{said}>{{schema}}'
        f"{PARAMETERS}{lists}{meanings}<ParamMatrix>{matrix}</ParamMatrix>{more}</GeneralRegressionModel>",
        fields,
        target,
    )


def test_parameters_are_powers_categories_and_products() -> None:
    rows = [{"x": 3, "z": 7, "c": "a"}, {"x": 3, "z": 7, "c": "b"}, {"x": 3, "z": 7, "c": "d"}]
    found = score(general(cells(1, 2, 10, 100, 1000), "generalLinear"), rows)
    plain = 1 + 6 + 90
    np.testing.assert_allclose(found.result, [plain, plain + 100, plain + 7000])


@pytest.mark.parametrize("row", [{"z": 1, "c": "a"}, {"x": 1, "z": 1}, {"x": 1, "c": "a"}])
def test_a_missing_covariate_or_factor_leaves_no_result(row: dict[str, object]) -> None:
    assert np.isnan(score(general(cells(1, 2, 10, 100, 1000), "regression"), [row]).result[0])


def test_a_predictor_that_has_no_coefficient_may_be_missing() -> None:
    assert score(general(cells(1, 2), "regression"), [{"x": 4}]).result[0] == 9


def test_a_contrast_matrix_gives_numbers_for_categories() -> None:
    lists = (
        '<FactorList><Predictor name="c"><Categories><Category value="a"/><Category value="b"/>'
        '<Category value="d"/></Categories><Matrix nbRows="3" nbCols="2"><Array type="real">1 0.5</Array>'
        '<Array type="real">0 2</Array><Array type="real">-1 -3</Array></Matrix></Predictor></FactorList>'
    )
    meanings = (
        '<PPMatrix><PPCell value="a" predictorName="c" parameterName="p1"/>'
        '<PPCell value="b" predictorName="c" parameterName="p2"/></PPMatrix>'
    )
    text = general(cells(0, 10, 100), "generalLinear", lists=lists, meanings=meanings)
    found = score(text, [{"c": "a"}, {"c": "b"}, {"c": "d"}, {"c": None}])
    np.testing.assert_allclose(found.result, [10 + 50, 200, -10 - 300, np.nan])


LINKS: dict[str, tuple[dict[str, Any], Callable[[float], float]]] = {
    "identity": ({}, lambda s: s),
    "log": ({}, exp),
    "logc": ({}, lambda s: 1 - exp(s)),
    "logit": ({}, lambda s: 1 / (1 + exp(-s))),
    "cloglog": ({}, lambda s: 1 - exp(-exp(s))),
    "loglog": ({}, lambda s: exp(-exp(-s))),
    "probit": ({}, lambda s: erfc(-s / sqrt(2)) / 2),
    "negbin": ({"distParameter": "2"}, lambda s: 1 / (2 * (exp(-s) - 1))),
    "oddspower": ({"linkParameter": "0.5"}, lambda s: 1 / (1 + (1 + 0.5 * s) ** -2)),
    "power": ({"linkParameter": "0.5"}, lambda s: s**2),
}


@pytest.mark.parametrize("link", LINKS)
def test_the_inverse_of_each_link_function(link: str) -> None:
    more, right = LINKS[link]
    found = score(general(cells(0.5, 1), "generalizedLinear", linkFunction=link, **more), [{"x": -0.2}])
    assert found.result[0] == pytest.approx(right(0.3))


@pytest.mark.parametrize(("link", "right"), [("oddspower", 1 / (1 + exp(-0.3))), ("power", exp(0.3))])
def test_a_link_parameter_of_zero_is_the_limit(link: str, right: float) -> None:
    text = general(cells(0.3), "generalizedLinear", linkFunction=link, linkParameter="0")
    assert score(text, [{}]).result[0] == pytest.approx(right)


def test_offsets_are_added_and_trials_multiply() -> None:
    said: dict[str, Any] = {"linkFunction": "log", "offsetVariable": "z", "trialsValue": "3"}
    found = score(
        general(cells(0, 1), "generalizedLinear", **said), [{"x": 1, "z": 0.5}, {"x": 1, "z": None}]
    )
    np.testing.assert_allclose(found.result, [3 * exp(1.5), np.nan])
    said = {"linkFunction": "identity", "offsetValue": "0.25", "trialsVariable": "z"}
    found = score(general(cells(0, 1), "generalizedLinear", **said), [{"x": 1, "z": 4}])
    assert found.result[0] == 5


CLASSES = {"x": "double", "z": "double", "c": "string: a b d", "y": "string: n p q"}
TWO = {**CLASSES, "y": "string: p n"}


@pytest.mark.parametrize("target", ["p", ""])
def test_a_binomial_model_gives_the_rest_to_the_reference(target: str) -> None:
    said: dict[str, Any] = {
        "linkFunction": "logit",
        "targetReferenceCategory": "n",
        "distribution": "binomial",
    }
    text = general(cells(0, 1, target=target), "generalizedLinear", TWO, **said)
    found = score(text, [{"x": 2}, {"x": -800}, {"x": 800}, {"x": None}])
    share = 1 / (1 + exp(-2))
    np.testing.assert_allclose(found.outputs["probability_p"], [share, 0, 1, np.nan])
    np.testing.assert_allclose(found.outputs["probability_n"], [1 - share, 1, 0, np.nan])
    assert found.labels == ["p", "n", "p", ""]


def test_the_class_without_coefficients_is_the_reference() -> None:
    text = general(cells(0, 1, target="n"), "generalizedLinear", TWO, linkFunction="logit")
    assert score(text, [{"x": 2}, {"x": -2}]).labels == ["n", "p"]


def test_multinomial_shares_do_not_overflow() -> None:
    matrix = cells(0, 1, target="n") + cells(1, 900, target="q")
    found = score(
        general(matrix, "multinomialLogistic", CLASSES, targetReferenceCategory="p"), [{"x": 1}, {"x": 0}]
    )
    assert found.labels == ["q", "q"]
    assert found.outputs["probability_q"][0] == 1
    total = 2 + exp(1)
    assert found.outputs["probability_p"][1] == pytest.approx(1 / total)


def test_parameters_may_mean_something_else_for_each_class() -> None:
    meanings = (
        '<PPMatrix><PPCell value="1" predictorName="x" parameterName="p1" targetCategory="n"/>'
        '<PPCell value="1" predictorName="z" parameterName="p1" targetCategory="q"/></PPMatrix>'
    )
    matrix = cells(0, 1, target="n") + cells(0, 1, target="q")
    text = general(matrix, "multinomialLogistic", CLASSES, meanings=meanings)
    found = score(text, [{"x": 2, "z": 1}])
    assert found.outputs["probability_n"][0] == pytest.approx(exp(2) / (exp(2) + exp(1) + 1))


CUMULATIVE = {
    "logit": lambda s: 1 / (1 + exp(-s)),
    "probit": lambda s: erfc(-s / sqrt(2)) / 2,
    "cloglog": lambda s: 1 - exp(-exp(s)),
    "loglog": lambda s: exp(-exp(-s)),
    "cauchit": lambda s: 0.5 + atan(s) / pi,
}


@pytest.mark.parametrize("link", CUMULATIVE)
def test_ordinal_probabilities_are_differences_of_cumulative_ones(link: str) -> None:
    matrix = cells(-1, target="n") + cells(1, target="p") + '<PCell parameterName="p1" beta="0.5"/>'
    found = score(general(matrix, "ordinalMultinomial", CLASSES, cumulativeLink=link), [{"x": 0.4}])
    low, mid = CUMULATIVE[link](-0.8), CUMULATIVE[link](1.2)
    shares = [found.outputs[f"probability_{name}"][0] for name in "npq"]
    np.testing.assert_allclose(shares, [low, mid - low, 1 - mid])


BASELINE = '<BaselineCell time="5" cumHazard="0.4"/><BaselineCell time="2" cumHazard="0.1"/>'


def test_the_cumulative_hazard_is_the_baselines_at_the_last_time_before() -> None:
    more = f'<BaseCumHazardTables maxTime="9">{BASELINE}</BaseCumHazardTables>'
    text = general('<PCell parameterName="p1" beta="0.5"/>', "CoxRegression", more=more, endTimeVariable="z")
    times = [1.9, 2, 4.9, 5, 9, 9.1, None]
    found = score(text, [{"x": 3, "z": time} for time in times])
    risk = exp(0.5 * (3 - 2))
    np.testing.assert_allclose(
        found.result, [0, 0.1 * risk, 0.1 * risk, 0.4 * risk, 0.4 * risk, np.nan, np.nan]
    )


def test_a_stratum_has_a_baseline_of_its_own() -> None:
    more = (
        f'<BaseCumHazardTables><BaselineStratum value="a" maxTime="9">{BASELINE}</BaselineStratum>'
        '<BaselineStratum value="b" maxTime="3"><BaselineCell time="1" cumHazard="7"/></BaselineStratum>'
        "</BaseCumHazardTables>"
    )
    said: dict[str, Any] = {"endTimeVariable": "z", "baselineStrataVariable": "c", "statusVariable": "h"}
    text = general('<PCell parameterName="p1" beta="0"/>', "CoxRegression", more=more, **said)
    rows = [{"x": 1, "z": 2, "c": c} for c in ("a", "b", "d", None)]
    np.testing.assert_allclose(score(text, rows).result, [0.1, 7, np.nan, np.nan])


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (general(cells(1), "multinomialLogistic"), "multinomialLogistic"),
        (general(cells(1), "generalizedLinear", linkFunction="power"), "parameter"),
        (general(cells(1), "generalizedLinear", linkFunction="square"), "square"),
        (general(cells(1), "generalLinear", offsetValue="1"), "offset"),
        (general(cells(1, target="a"), "generalLinear"), "targetCategory"),
        (general('<PCell parameterName="p9" beta="1"/>', "generalLinear"), "p9"),
        (general("", "generalLinear"), "PCell"),
        (general(cells(1), "CoxRegression", endTimeVariable="z"), "BaseCumHazardTables"),
        (general(cells(1), "CoxRegression"), "endTimeVariable"),
        (general(cells(1, target="n"), "generalizedLinear", CLASSES, linkFunction="logit"), "3 classes"),
        (general(cells(1), "generalizedLinear", TWO, linkFunction="logit"), "which one"),
    ],
)
def test_what_is_wrong_is_refused_by_name(text: str, named: str) -> None:
    with pytest.raises(ModelRejected, match=named):
        score(text, [{"x": 1}])
