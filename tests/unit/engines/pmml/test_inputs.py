"""Missing, invalid and outlying values of inputs, and what a record without a result says (MiningSchema)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from model_serving.core.errors import ModelRejected
from tests.pmml_cases import columns_of, load_document
from tests.pmml_documents import score

NONE = float("nan")


def of_one_field(declared: str, mining: str = "", data_type: str = "double") -> str:
    """Returns a regression of x (a number) or of c being a (a text)."""
    name = "c" if data_type in {"string", "date"} else "x"
    optype = "categorical" if name == "c" else "continuous"
    predictor = (
        '<CategoricalPredictor name="c" value="a" coefficient="1"/>'
        if data_type == "string"
        else f'<NumericPredictor name="{name}" coefficient="1"/>'
    )
    return (
        '<PMML version="4.4"><Header/><DataDictionary>'
        f'<DataField name="{name}" dataType="{data_type}" optype="{optype}">{declared}</DataField>'
        '<DataField name="y" dataType="double" optype="continuous"/></DataDictionary>'
        '<RegressionModel functionName="regression"><MiningSchema>'
        f'<MiningField name="{name}" {mining}/><MiningField name="y" usageType="target"/></MiningSchema>'
        f'<RegressionTable intercept="0">{predictor}</RegressionTable></RegressionModel></PMML>'
    )


def results(text: str, values: Sequence[Any]) -> list[float]:
    name = "c" if '"c"' in text else "x"
    # Many copies, so that both ways to read inputs are used: for a few records and for many.
    many = score(text, [{name: value} for value in values] * 5).result
    assert np.array_equal(many, np.tile(many[: len(values)], 5), equal_nan=True)
    return many[: len(values)].tolist()


RANGE = '<Interval closure="closedOpen" leftMargin="0" rightMargin="10"/>'
TWO = RANGE + '<Interval closure="openClosed" leftMargin="20" rightMargin="30"/>'
LIST = '<Value value="1"/><Value value="2"/><Value value="-9" property="missing"/>'
BAD = '<Value value="5" property="invalid"/>'


@pytest.mark.parametrize(
    ("declared", "mining", "values", "right"),
    [
        (RANGE, "", [0, 9.5, 10, -1, None], [0, 9.5, NONE, NONE, NONE]),
        (TWO, "", [0, 10, 20, 20.5, 30, 31], [0, NONE, NONE, 20.5, 30, NONE]),
        (RANGE, 'invalidValueTreatment="asIs"', [0, 12, None], [0, 12, NONE]),
        (RANGE, 'invalidValueTreatment="asMissing"', [0, 12], [0, NONE]),
        (RANGE, 'invalidValueTreatment="asMissing" missingValueReplacement="77"', [3, 12, None], [3, 77, 77]),
        (RANGE, 'invalidValueTreatment="asValue" invalidValueReplacement="4"', [3, 12, None], [3, 4, NONE]),
        (RANGE, 'invalidValueTreatment="asIs" invalidValueReplacement="4"', [3, 12], [3, 4]),
        (RANGE, 'missingValueReplacement="77"', [3, 12, None], [3, NONE, 77]),
        (RANGE, 'missingValueTreatment="returnInvalid"', [3, None], [3, NONE]),
        (LIST, "", [1, 2, 3, -9], [1, 2, NONE, NONE]),
        (LIST, 'missingValueReplacement="7"', [1, -9, None, 3], [1, 7, 7, NONE]),
        (BAD, "", [4, 5], [4, NONE]),
        ("", 'outliers="asExtremeValues" lowValue="1" highValue="3"', [0, 2, 9, None], [1, 2, 3, NONE]),
        ("", 'outliers="asMissingValues" lowValue="1" missingValueReplacement="6"', [0, 2, 9], [6, 2, 9]),
        # A value that replaces others is not checked again.
        (RANGE, 'outliers="asExtremeValues" lowValue="1" highValue="3"', [0, 2, 9, 12], [1, 2, 3, NONE]),
    ],
)
def test_numbers(declared: str, mining: str, values: list[Any], right: list[float]) -> None:
    assert results(of_one_field(declared, mining), values) == pytest.approx(right, nan_ok=True)


@pytest.mark.parametrize(
    ("declared", "mining", "values", "right"),
    [
        ("", "", ["a", "b", None], [1, 0, 0]),
        ('<Value value="a"/>', "", ["a", "b", None], [1, NONE, 0]),
        ('<Value value="a"/>', 'invalidValueTreatment="asIs"', ["a", "b"], [1, 0]),
        ('<Value value="b"/>', 'missingValueReplacement="a"', [None, "b", "a"], [1, 0, NONE]),
        ('<Value value="b"/><Value value="?" property="missing"/>', "", ["?", "b", "c"], [0, 0, NONE]),
        ('<Value value="b" property="invalid"/>', "", ["a", "b"], [1, NONE]),
    ],
)
def test_texts(declared: str, mining: str, values: list[Any], right: list[float]) -> None:
    found = results(of_one_field(declared, mining, "string"), values)
    assert found == pytest.approx(right, nan_ok=True)


def test_what_no_field_of_the_type_has_is_invalid() -> None:
    assert results(of_one_field("", "", "integer"), [1, 1.5, float("inf")]) == pytest.approx(
        [1, NONE, NONE], nan_ok=True
    )
    assert results(of_one_field("", "", "boolean"), [1, 0, 2]) == pytest.approx([1, 0, NONE], nan_ok=True)
    mining = 'invalidValueTreatment="asMissing" missingValueReplacement="9"'
    assert results(of_one_field("", mining, "integer"), [1.5]) == [9]


def test_a_margin_of_a_float_field_is_a_value_of_it() -> None:
    declared = '<Interval closure="closedClosed" leftMargin="0.1" rightMargin="6.9"/>'
    found = results(of_one_field(declared, "", "float"), [6.9, 0.1, 6.91])
    assert found == pytest.approx([np.float32(6.9), np.float32(0.1), NONE], nan_ok=True)


def why(text: str, row: Mapping[str, Any]) -> str:
    model = load_document(text.encode())
    scores = model.score(columns_of(model, text.encode(), [{"x": 1, "c": "a"}, row]))
    assert np.isnan(scores.result).tolist() == [False, True]
    assert scores.why is not None
    return scores.why(1)


@pytest.mark.parametrize(
    ("text", "row", "right"),
    [
        (
            of_one_field(RANGE),
            {"x": 200},
            (
                "the field 'x' has the value 200, which the model declares invalid "
                "(invalidValueTreatment returnInvalid)"
            ),
        ),
        (
            of_one_field('<Value value="a"/>', "", "string"),
            {"c": "b" * 100},
            (
                f"the field 'c' has the value '{'b' * 60}', which the model declares invalid "
                "(invalidValueTreatment returnInvalid)"
            ),
        ),
        (
            of_one_field("", 'missingValueTreatment="returnInvalid"'),
            {"x": None},
            "the field 'x' has no value, and the model says missingValueTreatment returnInvalid",
        ),
        (of_one_field(""), {"x": None}, "it has no value of 'x'"),
    ],
)
def test_a_record_without_a_result_says_why(text: str, row: Mapping[str, Any], right: str) -> None:
    assert why(text, row) == right


@pytest.mark.parametrize(
    ("mining", "why_not"),
    [
        ('invalidValueTreatment="asValue"', "'asValue' without a replacement"),
        ('outliers="asExtremeValues" lowValue="1"', "without highValue"),
        ('missingValueReplacement="many"', "'many'"),
        ('missingValueTreatment="guess"', "missingValueTreatment 'guess'"),
    ],
)
def test_a_wrong_treatment_is_refused_by_name(mining: str, why_not: str) -> None:
    with pytest.raises(ModelRejected, match=why_not):
        load_document(of_one_field("", mining).encode())


def test_a_field_made_of_a_field_that_a_segment_treats_is_made_of_the_treated_values() -> None:
    segment = (
        '<Segment id="{id}"><True/><RegressionModel functionName="regression"><MiningSchema>'
        '<MiningField name="x" {mining}/></MiningSchema><RegressionTable intercept="0">'
        '<NumericPredictor name="cube" coefficient="1"/></RegressionTable></RegressionModel></Segment>'
    )
    product = '<Apply function="*"><FieldRef field="x"/><FieldRef field="{of}"/></Apply>'
    derived = '<DerivedField name="{name}" dataType="double" optype="continuous">{made}</DerivedField>'
    text = (
        '<PMML version="4.4"><Header/><DataDictionary><DataField name="x" dataType="double" '
        'optype="continuous"/></DataDictionary><TransformationDictionary>'
        + derived.format(name="square", made=product.format(of="x"))
        + derived.format(name="cube", made=product.format(of="square"))
        + '</TransformationDictionary><MiningModel functionName="regression"><MiningSchema>'
        '<MiningField name="x"/></MiningSchema><Segmentation multipleModelMethod="max">'
        + segment.format(id=1, mining='missingValueReplacement="2"')
        + segment.format(id=2, mining='missingValueReplacement="3"')
        + "</Segmentation></MiningModel></PMML>"
    )
    assert score(text, [{"x": None}, {"x": 5}]).result.tolist() == [27, 125]
