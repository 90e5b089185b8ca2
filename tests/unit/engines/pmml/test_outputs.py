"""Output and Targets: features, types, names, defaults, limits and labels (PMML 4.4, Output and Targets)."""

from __future__ import annotations

import numpy as np
import pytest

from model_serving.core.engine import description_of
from model_serving.core.errors import ModelRejected
from tests.pmml_cases import load_document
from tests.pmml_documents import document, score

NUMBERS = {"x": "double", "y": "double"}
TABLE = '<RegressionTable intercept="1"><NumericPredictor name="x" coefficient="2"/></RegressionTable>'


def field(name: str, feature: str = "predictedValue", inner: str = "", **more: str) -> str:
    attributes = "".join(f' {key}="{value}"' for key, value in more.items())
    return f'<OutputField name="{name}" feature="{feature}"{attributes}>{inner}</OutputField>'


def regression(*outputs: str, targets: str = "", table: str = TABLE) -> str:
    output = f"<Output>{''.join(outputs)}</Output>" if outputs else ""
    return (
        f'<RegressionModel functionName="regression">{{schema}}{output}'
        f"<Targets>{targets}</Targets>{table}</RegressionModel>"
    )


def classifier(*outputs: str, classes: tuple[str, str] = ("a", "b")) -> str:
    tables = (
        f'<RegressionTable intercept="0" targetCategory="{classes[0]}">'
        '<NumericPredictor name="x" coefficient="1"/></RegressionTable>'
        f'<RegressionTable intercept="0" targetCategory="{classes[1]}"/>'
    )
    return (
        '<RegressionModel functionName="classification" normalizationMethod="softmax">{schema}'
        f"<Output>{''.join(outputs)}</Output>{tables}</RegressionModel>"
    )


def warnings(text: str) -> tuple[str, ...]:
    return description_of(load_document(text.encode())).notes


PLUS = '<Apply function="+"><FieldRef field="{of}"/><Constant dataType="double">{more}</Constant></Apply>'


def test_an_output_sees_the_outputs_before_it_and_needs_no_type() -> None:
    model = regression(
        field("raw", isFinalResult="false"),
        field("more", "transformedValue", PLUS.format(of="raw", more=100)),
        field("most", "transformedValue", PLUS.format(of="more", more=1000)),
    )
    found = score(document(model, NUMBERS), [{"x": 1}]).outputs
    assert {name: values[0] for name, values in found.items()} == {"more": 103, "most": 1103}


def test_an_output_may_have_the_name_of_an_input_or_of_the_target() -> None:
    model = regression(
        field("x", "transformedValue", PLUS.format(of="x", more=10)),
        field("y"),
        field("z", "transformedValue", PLUS.format(of="y", more=1)),
    )
    found = score(document(model, NUMBERS), [{"x": 1}])
    assert found.result.tolist() == [3]
    assert {name: values[0] for name, values in found.outputs.items()} == {"x": 11, "y": 3, "z": 4}


def test_probabilities_are_found_by_class_in_any_order() -> None:
    fields = {"x": "double", "y": "string: a b"}
    outputs = [field(f"p{one}", "probability", value=one, dataType="double") for one in ("b", "a", "c")]
    text = document(classifier(*outputs, field("p", "probability", dataType="double")), fields)
    found = score(text, [{"x": 2}, {"x": -2}])
    share = 1 / (1 + np.exp(-2))
    assert found.outputs["pa"].tolist() == pytest.approx([share, 1 - share])
    assert found.outputs["pb"].tolist() == pytest.approx([1 - share, share])
    assert found.outputs["pc"].tolist() == [0, 0]
    assert found.outputs["p"].tolist() == pytest.approx([share, share])


@pytest.mark.parametrize(
    ("data_type", "classes", "labels", "result"),
    [
        ("string: a b", ("a", "b"), ["a", "b"], [0, 1]),
        ("string: b a", ("a", "b"), ["a", "b"], [1, 0]),
        ("string: 7 8", ("7", "8"), ["7", "8"], [7, 8]),
        ("categorical integer: 1 0", ("1.0", "0.0"), ["1", "0"], [1, 0]),
        ("categorical integer", ("1234567", "2"), ["1234567", "2"], [1234567, 2]),
        ("categorical double: 1.50 2", ("1.5", "2.0"), ["1.50", "2"], [1.5, 2]),
        ("boolean", ("true", "false"), ["true", "false"], [1, 0]),
        ("boolean: True False", ("true", "false"), ["True", "False"], [0, 1]),
    ],
)
def test_labels_are_spelled_as_the_data_dictionary_does(
    data_type: str, classes: tuple[str, str], labels: list[str], result: list[float]
) -> None:
    found = score(
        document(classifier(classes=classes), {"x": "double", "y": data_type}), [{"x": 2}, {"x": -2}]
    )
    assert found.labels == labels
    assert found.result.tolist() == result


def test_the_residual_takes_the_expected_value_of_the_target() -> None:
    text = document(regression(field("r", "residual", dataType="double")), NUMBERS)
    assert np.isnan(score(text, [{"x": 1}]).outputs["r"]).all()
    replaced = text.replace('usageType="target"', 'usageType="target" missingValueReplacement="10"')
    assert score(replaced, [{"x": 1}]).outputs["r"].tolist() == [7]


def test_the_residual_of_a_class_is_hit_or_miss_less_its_probability() -> None:
    text = document(
        classifier(field("r", "residual", dataType="double")), {"x": "double", "y": "string: a b"}
    )
    text = text.replace('usageType="target"', 'usageType="target" missingValueReplacement="a"')
    share = 1 / (1 + np.exp(-2))
    assert score(text, [{"x": 2}, {"x": -2}]).outputs["r"].tolist() == pytest.approx([1 - share, -share])


def test_a_feature_that_is_not_supported_is_left_out_with_a_warning() -> None:
    text = document(regression(field("r", "x-report", dataType="double"), field("p")), NUMBERS)
    assert list(score(text, [{"x": 1}]).outputs) == ["p"]
    assert warnings(text) == ("the output 'r' is left out: its feature 'x-report' is not supported",)
    uses = field("t", "transformedValue", PLUS.format(of="r", more=1))
    with pytest.raises(ModelRejected, match="the field 'r'"):
        load_document(document(regression(field("r", "x-report"), uses), NUMBERS).encode())


def test_a_text_output_that_is_not_understood_is_left_out_with_a_warning() -> None:
    odd = '<Apply function="odd"><FieldRef field="x"/></Apply>'
    text = document(regression(field("t", "transformedValue", odd, dataType="string"), field("p")), NUMBERS)
    assert list(score(text, [{"x": 1}]).outputs) == ["p"]
    (warning,) = warnings(text)
    assert warning.startswith("the output 't' is left out: it has the function 'odd'")
    number = document(regression(field("t", "transformedValue", odd, dataType="double")), NUMBERS)
    with pytest.raises(ModelRejected, match="the function 'odd'"):
        load_document(number.encode())


def test_of_two_outputs_with_one_name_the_last_one_counts() -> None:
    model = regression(field("o"), field("o", "transformedValue", PLUS.format(of="x", more=7)))
    text = document(model, NUMBERS)
    assert score(text, [{"x": 1}]).outputs["o"].tolist() == [8]
    assert warnings(text) == ("the output 'o' is there more than once: the last one counts",)


def test_an_output_without_an_expression_is_refused() -> None:
    with pytest.raises(ModelRejected, match="'t' without one expression"):
        load_document(document(regression(field("t", "transformedValue")), NUMBERS).encode())


@pytest.mark.parametrize(
    ("attributes", "right"),
    [
        ('min="2"', [2, 3, 4.25]),
        ('max="3.5"', [1.5, 3, 3.5]),
        ('rescaleFactor="2" rescaleConstant="-1"', [2, 5, 7.5]),
        ('castInteger="round"', [2, 3, 4]),
        ('castInteger="ceiling"', [2, 3, 5]),
        ('castInteger="floor"', [1, 3, 4]),
        # Limits first, then the factor, then the constant, then the rounding.
        ('min="2" max="4" rescaleFactor="1.2" rescaleConstant="0.5" castInteger="round"', [3, 4, 5]),
    ],
)
def test_targets_change_numbers_in_the_order_of_the_standard(attributes: str, right: list[float]) -> None:
    text = document(regression(targets=f'<Target field="y" {attributes}/>'), NUMBERS)
    found = score(text, [{"x": 0.25}, {"x": 1}, {"x": 1.625}])
    assert found.result.tolist() == pytest.approx(right)


def test_a_default_stands_in_for_a_missing_prediction() -> None:
    target = '<Target field="y" rescaleFactor="10"><TargetValue defaultValue="4"/></Target>'
    assert score(document(regression(targets=target), NUMBERS), [{"x": None}, {"x": 1}]).result.tolist() == [
        40,
        30,
    ]


def test_targets_do_not_change_classes() -> None:
    text = document(classifier(), {"x": "double", "y": "categorical integer: 3 4"})
    text = text.replace('targetCategory="a"', 'targetCategory="3"').replace('"b"', '"4"')
    target = '<Targets><Target field="y" rescaleFactor="10" min="5"/></Targets>'
    found = score(text.replace("<Output></Output>", f"<Output/>{target}"), [{"x": 2}])
    assert found.labels == ["3"]


def test_priors_stand_in_for_a_missing_class() -> None:
    target = (
        '<Targets><Target field="y"><TargetValue value="a" priorProbability="0.3"/>'
        '<TargetValue value="b" priorProbability="0.7"/></Target></Targets>'
    )
    text = document(classifier(), {"x": "double", "y": "string: a b"})
    found = score(text.replace("<Output></Output>", f"<Output/>{target}"), [{"x": None}])
    assert found.labels == ["b"]
    assert found.outputs["probability_b"].tolist() == [0.7]
