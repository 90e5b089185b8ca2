"""Comparisons, logic, lists and choices (PMML 4.4: Built-in functions)."""

from __future__ import annotations

import pytest

from tests.pmml_expressions import FAILS, apply, constant, ref, value, values

X, Y, K, B, S = ref("x"), ref("y"), ref("k"), ref("b"), ref("s")


@pytest.mark.parametrize(
    ("function", "below", "same", "above"),
    [
        ("equal", 0.0, 1.0, 0.0),
        ("notEqual", 1.0, 0.0, 1.0),
        ("lessThan", 1.0, 0.0, 0.0),
        ("lessOrEqual", 1.0, 1.0, 0.0),
        ("greaterThan", 0.0, 0.0, 1.0),
        ("greaterOrEqual", 0.0, 1.0, 1.0),
    ],
)
def test_comparisons(function: str, below: float, same: float, above: float) -> None:
    rows = [{"x": 1.0}, {"x": 2.0}, {"x": 3.0}, {}]
    assert values(apply(function, X, constant("2")), *rows) == [below, same, above, FAILS]
    texts = [{"s": "a"}, {"s": "b"}, {"s": "c"}, {}]
    assert values(apply(function, S, constant("b")), *texts) == [below, same, above, FAILS]


def test_a_comparison_reads_a_text_as_what_the_other_is() -> None:
    assert values(apply("equal", S, X), {"s": "2.50", "x": 2.5}, {"s": "2", "x": 2.5}) == [1.0, 0.0]
    assert value(apply("equal", K, constant("2.5", "string")), k=2) == 0.0
    assert value(apply("equal", B, constant("true", "string")), b=1) == 1.0
    assert values(apply("lessThan", ref("day"), constant("2020-02-01")), {"day": "2020-01-31"}) == [1.0]


def test_logic() -> None:
    rows = [{"b": 1, "k": 1}, {"b": 1, "k": 0}, {"b": 0, "k": 0}, {"b": 1}]
    is_one = apply("equal", K, constant("1"))
    assert values(apply("and", B, is_one), *rows) == [1.0, 0.0, 0.0, FAILS]
    assert values(apply("or", B, is_one), *rows) == [1.0, 1.0, 0.0, FAILS]
    assert values(apply("not", B), *rows[1:3]) == [0.0, 1.0]


def test_missing_and_valid() -> None:
    rows = [{"x": 1.0}, {}]
    assert values(apply("isMissing", X), *rows) == [0.0, 1.0]
    assert values(apply("isNotMissing", X), *rows) == [1.0, 0.0]
    invalid = apply("ln", X)
    assert values(apply("isValid", invalid), {"x": 1.0}, {"x": -1.0}) == [1.0, 0.0]
    assert values(apply("isNotValid", invalid), {"x": 1.0}, {"x": -1.0}) == [0.0, 1.0]


@pytest.mark.parametrize("count", [2, 20])
def test_lists(count: int) -> None:
    listed = [constant(place, "integer") for place in range(count)]
    rows = [{"x": 1.0}, {"x": 1.5}, {}]
    assert values(apply("isIn", X, *listed), *rows) == [1.0, 0.0, 0.0]
    assert values(apply("isNotIn", X, *listed), *rows) == [0.0, 1.0, 1.0]
    texts = [constant(f"t{place}", "string") for place in range(count)]
    assert values(apply("isIn", S, *texts), {"s": "t1"}, {"s": "t99"}) == [1.0, 0.0]


def test_a_list_may_have_fields() -> None:
    assert values(apply("isIn", X, Y, constant("7")), {"x": 1.0, "y": 1.0}, {"x": 7.0, "y": 1.0}) == [
        1.0,
        1.0,
    ]
    assert values(apply("isIn", X, Y, constant("7")), {"x": 2.0, "y": 1.0}) == [0.0]


def test_a_branch_that_a_record_does_not_take_cannot_make_it_fail() -> None:
    chosen = apply("if", apply("greaterThan", X, constant("0")), apply("ln", X), constant("-1"))
    assert values(chosen, {"x": 1.0}, {"x": -1.0}, {"x": -2.0}) == [0.0, -1.0, -1.0]
    other = apply("if", apply("greaterThan", X, constant("0")), constant("-1"), apply("ln", X))
    assert values(other, {"x": 1.0}, {"x": -1.0}, {"x": 2.0}) == [-1.0, FAILS, -1.0]


def test_a_choice_without_other_is_missing() -> None:
    assert values(apply("if", B, X), {"b": 0, "x": 1.0}, {"b": 1, "x": 1.0}) == [None, 1.0]


def test_a_choice_with_a_missing_condition_has_no_result() -> None:
    assert values(apply("if", B, X, Y), {"x": 1.0}, {"b": 1, "x": 1.0}, {"b": 0, "y": 3.0}) == [
        FAILS,
        1.0,
        3.0,
    ]
    mapped = apply("if", B, X, Y, mapMissingTo="7")
    assert values(mapped, {"x": 1.0}, {"b": 1, "x": 1.0}, {"b": 0, "x": 1.0}) == [7.0, 1.0, 7.0]


def test_branches_have_one_type_together() -> None:
    chosen = apply("if", B, constant("1", "integer"), constant("low", "string"))
    assert values(chosen, {"b": 1}, {"b": 0}, data_type="string") == ["1", "low"]
    numbers = apply("if", B, constant("1", "integer"), constant("2.5", "double"))
    assert values(numbers, {"b": 1}, {"b": 0}) == [1.0, 2.5]


def test_a_truth_is_one_or_zero_as_a_number() -> None:
    assert values(apply("greaterThan", X, constant("0")), {"x": 3.0}, {"x": -4.0}, data_type="integer") == [
        1.0,
        0.0,
    ]


def test_threshold_is_one_above_the_limit() -> None:
    assert values(apply("threshold", X, constant("0")), {"x": 1.0}, {"x": 0.0}, {}) == [1.0, 0.0, FAILS]
