from __future__ import annotations

import math

import numpy as np
import pytest

from model_serving.core.errors import ModelRejected
from model_serving.core.messages import OutputRule
from model_serving.engines.results import column_names, resolve_rule, result_of, spelled_number

NAN = math.nan


@pytest.mark.parametrize(
    ("rule", "columns", "resolved"),
    [
        (OutputRule.AUTO, 1, OutputRule.VALUE),
        (OutputRule.AUTO, 2, OutputRule.ARGMAX),
        (OutputRule.VALUE, 1, OutputRule.VALUE),
        (OutputRule.ARGMAX, 2, OutputRule.ARGMAX),
    ],
)
def test_a_rule_means_value_or_argmax(rule: OutputRule, columns: int, resolved: OutputRule) -> None:
    assert resolve_rule(rule, columns) is resolved


@pytest.mark.parametrize(
    ("rule", "columns", "text"),
    [
        (
            OutputRule.VALUE,
            3,
            "output VALUE needs one output column, but this model has 3: use AUTO or ARGMAX",
        ),
        (
            OutputRule.ARGMAX,
            1,
            "output ARGMAX needs several output columns, but this model has one: use AUTO or VALUE",
        ),
        (OutputRule.AUTO, 0, "the model's output has no column, but it needs at least one"),
    ],
)
def test_a_rule_that_does_not_fit_is_rejected(rule: OutputRule, columns: int, text: str) -> None:
    with pytest.raises(ModelRejected) as caught:
        resolve_rule(rule, columns)
    assert str(caught.value) == text


def test_the_greatest_is_the_first_on_ties_and_nan_is_no_result() -> None:
    matrix = np.array([[1.0, 3.0, 3.0], [5.0, 5.0, 1.0], [NAN, 9.0, 1.0], [9.0, 1.0, NAN]])
    np.testing.assert_array_equal(result_of(matrix, OutputRule.ARGMAX), [1.0, 0.0, NAN, NAN])


def test_the_value_is_the_only_column() -> None:
    np.testing.assert_array_equal(result_of(np.array([[1.5], [NAN]]), OutputRule.VALUE), [1.5, NAN])


def test_columns_are_numbered_unless_there_is_one_or_too_many() -> None:
    assert column_names("p", 3) == ("p[0]", "p[1]", "p[2]")
    assert column_names("p", 1) == ("p",)
    assert column_names("p", 1001) == ()


def test_labels_spell_finite_numbers_or_none() -> None:
    labels = ("5", "-1.5", " 7 ", "1e2", "good", "", "nan", "inf")
    assert [spelled_number(label) for label in labels] == [5.0, -1.5, 7.0, 100.0, None, None, None, None]


@pytest.mark.parametrize(
    "label", ["10_20", "1_000", "\u0661", "0x10", "1,5", "1e", "", " ", "1 2", "1d", "--1"]
)
def test_labels_that_only_look_like_numbers_are_names(label: str) -> None:
    assert spelled_number(label) is None
