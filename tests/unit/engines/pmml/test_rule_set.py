"""RuleSetModel: which rule or class is chosen, and how sure it is (PMML 4.4, Ruleset)."""

from __future__ import annotations

import numpy as np
import pytest

from model_serving.core.errors import ModelRejected
from tests.pmml_documents import document, score

FIELDS = {"x": "double", "z": "double", "y": "string: a b c"}
OUTPUT = (
    '<Output><OutputField name="sure" dataType="double" optype="continuous" feature="confidence"/>'
    '<OutputField name="rule" dataType="integer" optype="categorical" feature="entityId"/></Output>'
)


def rules(criterion: str, *parts: str, default: str = ' defaultScore="c" defaultConfidence="0.1"') -> str:
    return document(
        f'<RuleSetModel functionName="classification">{{schema}}{OUTPUT}<RuleSet{default}>'
        f'<RuleSelectionMethod criterion="{criterion}"/>{"".join(parts)}</RuleSet></RuleSetModel>',
        FIELDS,
    )


def rule(number: int, label: str, above: float, weight: float, confidence: float, field: str = "x") -> str:
    return (
        f'<SimpleRule id="{number}" score="{label}" weight="{weight}" confidence="{confidence}">'
        f'<SimplePredicate field="{field}" operator="greaterThan" value="{above}"/></SimpleRule>'
    )


THREE = (rule(10, "a", 1, 0.5, 0.9), rule(20, "b", 2, 0.3, 0.8), rule(30, "b", 3, 0.4, 0.7))
ROWS: list[dict[str, float | None]] = [{"x": 0}, {"x": 1.5}, {"x": 2.5}, {"x": 3.5}, {"x": None}]


@pytest.mark.parametrize(
    ("criterion", "labels", "sure", "chosen"),
    [
        ("firstHit", ["c", "a", "a", "a", "c"], [0.1, 0.9, 0.9, 0.9, 0.1], [np.nan, 10, 10, 10, np.nan]),
        ("weightedMax", ["c", "a", "a", "a", "c"], [0.1, 0.9, 0.9, 0.9, 0.1], [np.nan, 10, 10, 10, np.nan]),
        (
            "weightedSum",
            ["c", "a", "a", "b", "c"],
            [0.1, 0.5 / 1, 0.5 / 2, 0.7 / 3, 0.1],
            [np.nan, 10, 10, 20, np.nan],
        ),
    ],
)
def test_each_criterion_chooses_as_the_standard_says(
    criterion: str, labels: list[str], sure: list[float], chosen: list[float]
) -> None:
    found = score(rules(criterion, *THREE), ROWS)
    assert found.labels == labels
    np.testing.assert_allclose(found.outputs["sure"], sure)
    np.testing.assert_array_equal(found.outputs["rule"], chosen)


def test_the_first_of_the_heaviest_rules_is_chosen() -> None:
    content = rules(
        "weightedMax", rule(1, "a", 1, 0.5, 0.9), rule(2, "b", 1, 0.5, 0.8), rule(3, "c", 1, 0.6, 0.7)
    )
    assert score(content, [{"x": 2}]).labels == ["c"]
    assert score(content.replace('weight="0.6"', 'weight="0.5"'), [{"x": 2}]).labels == ["a"]


def test_of_classes_that_weigh_the_same_the_first_of_the_data_dictionary_is_chosen() -> None:
    """PMML 4.4, RuleSet, weightedSum."""
    content = rules("weightedSum", rule(1, "b", 1, 0.5, 0.9), rule(2, "a", 1, 0.5, 0.8))
    found = score(content, [{"x": 2}, {"x": 0}])
    assert found.labels == ["a", "c"]
    np.testing.assert_array_equal(found.outputs["rule"], [2, np.nan])


@pytest.mark.parametrize("criterion", ["firstHit", "weightedSum", "weightedMax"])
def test_a_rule_inside_of_compound_rules_needs_all_their_predicates(criterion: str) -> None:
    compound = (
        '<CompoundRule><SimplePredicate field="x" operator="greaterThan" value="0"/>'
        f"{rule(1, 'a', 5, 1, 1, 'z')}<CompoundRule>"
        '<SimplePredicate field="z" operator="lessThan" value="0"/>'
        f"{rule(2, 'b', 3, 1, 1)}</CompoundRule></CompoundRule>"
    )
    content = rules(criterion, compound)
    rows: list[dict[str, float | None]] = [
        {"x": 1, "z": 6},
        {"x": -1, "z": 6},
        {"x": 4, "z": -1},
        {"x": 2, "z": -1},
        {"x": None, "z": 6},
        {"x": 4, "z": None},
    ]
    assert score(content, rows).labels == ["a", "c", "b", "c", "c", "c"]


def test_without_a_default_there_is_no_result_when_no_rule_fires() -> None:
    found = score(rules("firstHit", *THREE, default=""), ROWS)
    assert found.labels == ["", "a", "a", "a", ""]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (rules("loudest", *THREE), "criterion 'loudest'"),
        (rules("firstHit", '<SimpleRule score="a"/>'), "0 predicates where one belongs"),
        (rules("firstHit", "<SimpleRule><True/></SimpleRule>"), "SimpleRule without score"),
        (
            document('<RuleSetModel functionName="classification">{schema}</RuleSetModel>', FIELDS),
            "without a RuleSet",
        ),
    ],
)
def test_what_is_wrong_is_refused_by_name(content: str, says: str) -> None:
    with pytest.raises(ModelRejected, match=says):
        score(content, [{"x": 1}])
