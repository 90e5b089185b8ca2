"""RegressionModel: terms, normalization methods and classes (PMML 4.4, Regression)."""

from __future__ import annotations

from math import atan, erfc, exp, pi, sqrt

import numpy as np
import pytest

from model_serving.core.errors import ModelRejected
from tests.pmml_documents import document, score

SHARES = {
    "logit": lambda y: 1 / (1 + exp(-y)),
    "probit": lambda y: erfc(-y / sqrt(2)) / 2,
    "cloglog": lambda y: 1 - exp(-exp(y)),
    "loglog": lambda y: exp(-exp(-y)),
    "cauchit": lambda y: 0.5 + atan(y) / pi,
}
FIELDS = {"x": "double", "z": "double", "c": "string: a b", "h": "double"}
CLASSES = {"x": "double", "y": "string: n p"}


def regression(table: str, **attributes: str) -> str:
    said = "".join(f' {name}="{value}"' for name, value in attributes.items())
    model = f'<RegressionModel functionName="regression"{said}>{{schema}}{table}</RegressionModel>'
    return document(model, FIELDS, "h")


def classifier(tables: str, fields: dict[str, str], **attributes: str) -> str:
    said = "".join(f' {name}="{value}"' for name, value in attributes.items())
    model = f'<RegressionModel functionName="classification"{said}>{{schema}}{tables}</RegressionModel>'
    return document(model, fields)


def table(target: str | None, intercept: float, slope: float) -> str:
    said = "" if target is None else f' targetCategory="{target}"'
    return (
        f'<RegressionTable intercept="{intercept}"{said}>'
        f'<NumericPredictor name="x" coefficient="{slope}"/></RegressionTable>'
    )


TERMS = (
    '<RegressionTable intercept="1"><NumericPredictor name="x" coefficient="2"/>'
    '<NumericPredictor name="x" exponent="3" coefficient="0.5"/>'
    '<CategoricalPredictor name="c" value="a" coefficient="10"/>'
    '<CategoricalPredictor name="c" value="b" coefficient="20"/>'
    '<PredictorTerm coefficient="4"><FieldRef field="x"/><FieldRef field="z"/></PredictorTerm>'
    "</RegressionTable>"
)


def test_the_terms_of_a_table_are_added_up() -> None:
    found = score(regression(TERMS), [{"x": 2, "z": 3, "c": "b"}, {"x": -1, "z": 1, "c": "a"}])
    np.testing.assert_allclose(found.result, [1 + 4 + 4 + 20 + 24, 1 - 2 - 0.5 + 10 - 4])


def test_a_missing_number_has_no_result_and_a_missing_category_counts_as_none() -> None:
    rows: list[dict[str, float | str | None]] = [
        {"x": None, "z": 1, "c": "a"},
        {"x": 1, "z": None, "c": "a"},
        {"x": 1, "z": 1, "c": None},
    ]
    found = score(regression(TERMS), rows)
    np.testing.assert_allclose(found.result, [np.nan, np.nan, 1 + 2 + 0.5 + 4])


def test_a_table_without_terms_is_its_intercept() -> None:
    assert score(regression('<RegressionTable intercept="7"/>'), [{"x": 1}, {"x": 2}]).result.tolist() == [
        7,
        7,
    ]


@pytest.mark.parametrize(("method", "right"), [*SHARES.items(), ("exp", exp), ("softmax", SHARES["logit"])])
def test_a_predicted_number_is_normalized(method: str, right: object) -> None:
    assert callable(right)
    found = score(regression(table(None, 0.5, -1), normalizationMethod=method), [{"x": 0.2}, {"x": 3}])
    np.testing.assert_allclose(found.result, [right(0.3), right(-2.5)])


@pytest.mark.parametrize("method", SHARES)
def test_the_second_of_two_classes_gets_the_rest(method: str) -> None:
    text = classifier(table("p", 0.5, 1) + table("n", 9, 9), CLASSES, normalizationMethod=method)
    found = score(text, [{"x": 0.7}, {"x": -4}])
    share = np.array([SHARES[method](1.2), SHARES[method](-3.5)])
    np.testing.assert_allclose(found.outputs["probability_p"], share)
    np.testing.assert_allclose(found.outputs["probability_n"], 1 - share)
    assert found.labels == ["p" if one > 0.5 else "n" for one in share]


def test_a_binary_model_needs_only_one_table() -> None:
    found = score(classifier(table("p", 0, 1), CLASSES, normalizationMethod="logit"), [{"x": 2}, {"x": -2}])
    assert found.labels == ["p", "n"]
    np.testing.assert_allclose(found.outputs["probability_n"], [1 / (1 + exp(2)), 1 / (1 + exp(-2))])


def test_a_table_without_a_class_is_for_the_class_that_is_left() -> None:
    text = classifier(table("p", 0, 1) + table(None, 0, 0), CLASSES, normalizationMethod="softmax")
    assert score(text, [{"x": 1}, {"x": -1}]).labels == ["p", "n"]


def test_softmax_and_simplemax_share_the_sum_among_three_classes() -> None:
    tables = table("a", 1, 0) + table("b", 0, 1) + table("c", 3, 0)
    fields = {"x": "double", "y": "string"}
    soft = score(classifier(tables, fields, normalizationMethod="softmax"), [{"x": 2}])
    simple = score(classifier(tables, fields, normalizationMethod="simplemax"), [{"x": 2}])
    total = exp(1) + exp(2) + exp(3)
    for name, power, number in (("a", exp(1), 1), ("b", exp(2), 2), ("c", exp(3), 3)):
        assert soft.outputs[f"probability_{name}"][0] == pytest.approx(power / total)
        assert simple.outputs[f"probability_{name}"][0] == pytest.approx(number / 6)
    assert soft.labels == simple.labels == ["c"]


def test_one_class_against_the_rest_for_three_classes_sums_to_one() -> None:
    tables = table("a", 0, 1) + table("b", 0, -1) + table("c", 0, 0)
    found = score(classifier(tables, {"x": "double", "y": "string"}, normalizationMethod="logit"), [{"x": 2}])
    shares = [1 / (1 + exp(-2)), 1 / (1 + exp(2)), 0.5]
    assert found.outputs["probability_a"][0] == pytest.approx(shares[0] / sum(shares))


@pytest.mark.parametrize("method", SHARES)
def test_the_probabilities_of_ordered_classes_are_differences(method: str) -> None:
    fields = {"x": "double", "y": "ordinal string: low mid high"}
    # The tables stand in another order than the classes; the score of the last class does not count.
    tables = table("high", 5, 5) + table("low", -1, 1) + table("mid", 1, 1)
    found = score(classifier(tables, fields, normalizationMethod=method), [{"x": 0.5}])
    low, mid = SHARES[method](-0.5), SHARES[method](1.5)
    assert found.outputs["probability_low"][0] == pytest.approx(low)
    assert found.outputs["probability_mid"][0] == pytest.approx(mid - low)
    assert found.outputs["probability_high"][0] == pytest.approx(1 - mid)


def test_a_missing_number_leaves_no_class_and_no_probability() -> None:
    text = classifier(table("p", 0, 1) + table("n", 0, 0), CLASSES, normalizationMethod="softmax")
    found = score(text, [{"x": None}, {"x": 800}, {"x": -800}])
    assert found.labels == ["", "p", "n"]
    assert np.isnan(found.result[0])
    assert np.isnan(found.outputs["probability_p"][0])
    assert found.outputs["probability_p"][1:].tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("data_type", "spelled", "labels", "results"),
    [
        ("integer: 5 7", ("5", "7"), ["5", "7"], [5, 7]),
        ("double", ("0.5", "2"), ["0.5", "2"], [0.5, 2]),
        ("boolean", ("true", "false"), ["true", "false"], [1, 0]),
        ("boolean: true false", ("TRUE", "FALSE"), ["true", "false"], [0, 1]),
    ],
)
def test_classes_may_be_numbers_and_truth_values(
    data_type: str, spelled: tuple[str, str], labels: list[str], results: list[float]
) -> None:
    tables = table(spelled[0], 0, 1) + table(spelled[1], 0, -1)
    fields = {"x": "double", "y": f"categorical {data_type}"}
    found = score(classifier(tables, fields, normalizationMethod="softmax"), [{"x": 1}, {"x": -1}])
    assert found.labels == labels
    assert found.result.tolist() == results


def test_sums_of_single_precision_are_rounded() -> None:
    text = regression(table(None, 0.1, 0.1), **{"x-mathContext": "float"})
    found = score(text, [{"x": 3}])
    assert found.result[0] == np.float32(0.1) + np.float32(3) * np.float32(0.1)
    assert found.result[0] != 0.1 + 3 * 0.1


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (regression(TERMS, normalizationMethod="simplemax"), "simplemax"),
        (regression(TERMS + TERMS), "several RegressionTables"),
        (
            regression('<RegressionTable><NumericPredictor name="c" coefficient="1"/></RegressionTable>'),
            "'c'",
        ),
        (
            regression('<RegressionTable><NumericPredictor name="q" coefficient="1"/></RegressionTable>'),
            "'q'",
        ),
        (regression('<RegressionTable><NumericPredictor name="x"/></RegressionTable>'), "coefficient"),
        (regression("<RegressionTable><PredictorTerm coefficient='1'/></RegressionTable>"), "FieldRef"),
        (regression(""), "without a RegressionTable"),
        (classifier(table("p", 0, 1), CLASSES, normalizationMethod="exp"), "'exp'"),
        (classifier(table("p", 0, 1) * 2, CLASSES), "two RegressionTables"),
        (classifier(table(None, 0, 1) * 2, CLASSES), "targetCategory"),
        (classifier(table("p", 0, 1), {"x": "double", "y": "string"}), "one RegressionTable"),
    ],
)
def test_what_is_wrong_is_refused_by_name(text: str, named: str) -> None:
    with pytest.raises(ModelRejected, match=named):
        score(text, [{"x": 1}])
