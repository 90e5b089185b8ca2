"""Scorecard: partial scores, computed ones, reason codes (PMML 4.4, Scorecard)."""

from __future__ import annotations

from math import isnan
from typing import Any

import numpy as np
import pytest

from model_serving.core.errors import ModelRejected
from tests.pmml_documents import document, score

FIELDS = {"x": "double", "c": "string: a b", "y": "double"}


def attribute(score: str, predicate: str, code: str = "", formula: str = "") -> str:
    partial = f' partialScore="{score}"' if score else ""
    reason = f' reasonCode="{code}"' if code else ""
    return f"<Attribute{partial}{reason}>{predicate}{formula}</Attribute>"


def simple(field: str, operator: str, value: str = "") -> str:
    given = f' value="{value}"' if value else ""
    return f'<SimplePredicate field="{field}" operator="{operator}"{given}/>'


OF_X = (
    '<Characteristic name="of x" reasonCode="X" baselineScore="10">'
    + attribute("-1", simple("x", "isMissing"), "X missing")
    + attribute("3", simple("x", "lessThan", "1"))
    + attribute("12", simple("x", "lessThan", "5"))
    + "</Characteristic>"
)
OF_C = (
    '<Characteristic name="of c" reasonCode="C" baselineScore="7">'
    + attribute("2", simple("c", "equal", "a"))
    + attribute("7", simple("c", "equal", "b"))
    + "</Characteristic>"
)


def scorecard(*characteristics: str, attributes: str = 'initialScore="100"', ranks: int = 0) -> str:
    """Returns a model; an output for each rank is 1 where the reason code is C, 2 for X, 3 for X missing."""
    output = "".join(
        f'<OutputField name="r{rank}" feature="reasonCode" rank="{rank}" dataType="string" '
        'isFinalResult="false"/>'
        f'<OutputField name="n{rank}" feature="transformedValue" dataType="double">'
        f'<MapValues outputColumn="n" dataType="double"><FieldColumnPair field="r{rank}" column="r"/>'
        "<InlineTable><row><r>C</r><n>1</n></row><row><r>X</r><n>2</n></row>"
        "<row><r>X missing</r><n>3</n></row></InlineTable></MapValues></OutputField>"
        for rank in range(1, ranks + 1)
    )
    return (
        f'<Scorecard functionName="regression" {attributes}>{{schema}}<Output>{output}</Output>'
        f"<Characteristics>{''.join(characteristics)}</Characteristics></Scorecard>"
    )


def test_the_first_true_attribute_of_each_characteristic_counts() -> None:
    rows: list[dict[str, Any]] = [{"x": 0, "c": "a"}, {"x": 4, "c": "b"}, {"x": None, "c": "b"}]
    found = score(document(scorecard(OF_X, OF_C), FIELDS), rows)
    assert found.result.tolist() == [105, 119, 106]


def test_a_characteristic_without_a_true_attribute_leaves_no_score() -> None:
    found = score(document(scorecard(OF_X, OF_C), FIELDS), [{"x": 7, "c": "a"}, {"x": 0, "c": None}])
    assert np.isnan(found.result).all()


@pytest.mark.parametrize(
    ("algorithm", "rows", "right"),
    [
        # Points below the baseline: 7 for X and 5 for C; 11 for X missing and 0 for C.
        ("pointsBelow", {"x": 0, "c": "a"}, [2, 1]),
        ("pointsBelow", {"x": None, "c": "b"}, [3, 1]),
        # -2 points for X are no reason.
        ("pointsBelow", {"x": 4, "c": "a"}, [1, None]),
        ("pointsAbove", {"x": 4, "c": "b"}, [2, 1]),
        ("pointsAbove", {"x": 0, "c": "a"}, [None, None]),
    ],
)
def test_reason_codes(algorithm: str, rows: dict[str, float | str | None], right: list[int | None]) -> None:
    model = scorecard(OF_X, OF_C, attributes=f'reasonCodeAlgorithm="{algorithm}"', ranks=2)
    found = score(document(model, FIELDS), [rows]).outputs
    values = [found[f"n{rank}"][0] for rank in (1, 2)]
    assert [None if isnan(value) else value for value in values] == right


def test_ties_of_reason_codes_keep_the_order_of_the_document() -> None:
    one = '<Characteristic name="1" reasonCode="X" baselineScore="5">' + attribute("2", "<True/>")
    two = one.replace('reasonCode="X"', 'reasonCode="C"')
    model = scorecard(one + "</Characteristic>", two + "</Characteristic>", ranks=2)
    found = score(document(model, FIELDS), [{"x": 1}]).outputs
    assert [found["n1"][0], found["n2"][0]] == [2, 1]


def test_points_of_a_shared_reason_code_add_up() -> None:
    one = '<Characteristic name="1" reasonCode="C" baselineScore="4">' + attribute("2", "<True/>")
    two = one.replace('reasonCode="C" baselineScore="4"', 'reasonCode="X" baselineScore="5"')
    parts = [part + "</Characteristic>" for part in (two, one, one)]
    found = score(document(scorecard(*parts, ranks=2), FIELDS), [{"x": 1}]).outputs
    assert [found["n1"][0], found["n2"][0]] == [1, 2]


def test_the_baseline_of_the_scorecard_stands_in() -> None:
    without = OF_X.replace(' baselineScore="10"', "")
    model = scorecard(without, attributes='baselineScore="2"', ranks=1)
    assert isnan(score(document(model, FIELDS), [{"x": 0}]).outputs["n1"][0])


def test_a_computed_score_is_computed_only_where_it_counts() -> None:
    formula = (
        '<ComplexPartialScore><Apply function="/"><Constant dataType="double">8</Constant>'
        '<FieldRef field="x"/></Apply></ComplexPartialScore>'
    )
    part = '<Characteristic name="1" reasonCode="X" baselineScore="0">' + attribute(
        "99", simple("x", "greaterThan", "1"), formula=formula
    )
    model = scorecard(part + attribute("5", "<True/>") + "</Characteristic>", attributes="")
    found = score(document(model, FIELDS), [{"x": 4}, {"x": 0}, {"x": None}])
    assert found.result.tolist() == [2, 5, 5]


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (scorecard(), "without a Characteristic"),
        (scorecard('<Characteristic name="e" baselineScore="1" reasonCode="r"/>'), "without an Attribute"),
        (scorecard(OF_X.replace(' baselineScore="10"', ""), ranks=1), "without a baselineScore"),
        (scorecard(OF_X.replace(' reasonCode="X"', ""), ranks=1), "without a reasonCode"),
        (scorecard(OF_X.replace(' partialScore="3"', "")), "without partialScore"),
        (scorecard(OF_X, attributes='reasonCodeAlgorithm="other"'), "reasonCodeAlgorithm 'other'"),
    ],
)
def test_a_wrong_model_is_refused_by_name(model: str, why: str) -> None:
    with pytest.raises(ModelRejected, match=why):
        score(document(model, FIELDS), [{"x": 1}])
