"""Built-in functions of numbers: results, types, missing and invalid values (PMML 4.4, Functions)."""

from __future__ import annotations

import math

import pytest

from model_serving.engines.pmml.evaluator.reading import Unsupported
from tests.pmml_expressions import FAILS, apply, constant, ref, value, values

X, Y, K, M = ref("x"), ref("y"), ref("k"), ref("m")


@pytest.mark.parametrize(
    ("function", "right"),
    [
        ("log10", math.log10(0.5)),
        ("ln", math.log(0.5)),
        ("ln1p", math.log1p(0.5)),
        ("exp", math.exp(0.5)),
        ("expm1", math.expm1(0.5)),
        ("sqrt", math.sqrt(0.5)),
        ("abs", 0.5),
        ("floor", 0.0),
        ("ceil", 1.0),
        ("round", 1.0),
        ("rint", 0.0),
        ("sin", math.sin(0.5)),
        ("cos", math.cos(0.5)),
        ("tan", math.tan(0.5)),
        ("asin", math.asin(0.5)),
        ("acos", math.acos(0.5)),
        ("atan", math.atan(0.5)),
        ("sinh", math.sinh(0.5)),
        ("cosh", math.cosh(0.5)),
        ("tanh", math.tanh(0.5)),
        ("erf", math.erf(0.5)),
        ("stdNormalCDF", 0.6914624612740131),
        ("stdNormalPDF", 0.3520653267642995),
        ("stdNormalIDF", 0.0),
        ("x-expm1", math.expm1(0.5)),
    ],
)
def test_a_function_of_one_number(function: str, right: float) -> None:
    assert value(apply(function, X), x=0.5) == pytest.approx(right, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize(
    ("function", "right"),
    [
        ("+", 5.5),
        ("-", 1.5),
        ("*", 7.0),
        ("/", 1.75),
        ("modulo", 1.5),
        ("pow", 12.25),
        ("hypot", math.hypot(3.5, 2)),
    ],
)
def test_a_function_of_two_numbers(function: str, right: float) -> None:
    assert value(apply(function, X, Y), x=3.5, y=2.0) == pytest.approx(right, rel=1e-12)


def test_arithmetic_of_a_missing_value_is_missing() -> None:
    assert values(apply("+", X, Y), {"x": 1.0}, {"y": 1.0}, {"x": 1.0, "y": 1.0}) == [None, None, 2.0]


def test_a_function_that_takes_no_missing_value_has_no_result_of_one() -> None:
    assert values(apply("exp", X), {}, {"x": 0.0}) == [FAILS, 1.0]


def test_a_result_that_is_not_a_number_is_invalid() -> None:
    assert values(apply("ln", X), {"x": -1.0}, {"x": 1.0}) == [FAILS, 0.0]
    assert values(apply("/", X, Y), {"x": 0.0, "y": 0.0}, {"x": 1.0, "y": 0.0}) == [FAILS, math.inf]


def test_infinite_values_of_both_signs_are_results() -> None:
    rows = [{"x": 1.0, "y": 0.0}, {"x": -1.0, "y": 0.0}]
    assert values(apply("/", X, Y), *rows) == [math.inf, -math.inf]


def test_an_invalid_result_may_be_missing_or_have_a_default() -> None:
    as_missing = apply("ln", X, invalidValueTreatment="asMissing")
    with_default = apply("ln", X, invalidValueTreatment="asMissing", defaultValue="7")
    assert values(as_missing, {"x": -1.0}, {"x": 1.0}) == [None, 0.0]
    assert values(with_default, {"x": -1.0}, {"x": 1.0}) == [7.0, 0.0]


def test_map_missing_to_stands_for_the_result_before_the_function_is_applied() -> None:
    assert values(apply("exp", X, mapMissingTo="-5"), {}, {"x": 0.0}) == [-5.0, 1.0]


def test_a_default_value_replaces_a_missing_result_only() -> None:
    assert values(apply("+", X, Y, defaultValue="9"), {"x": 1.0}, {"x": 1.0, "y": 1.0}) == [9.0, 2.0]


def test_whole_numbers_stay_whole() -> None:
    assert value(apply("/", K, M), k=7, m=2) == 3.0
    assert value(apply("/", K, M), k=-7, m=2) == -3.0
    assert value(apply("/", K, M), k=7, m=0) == FAILS
    assert value(apply("/", K, constant("2.0", "double")), k=7) == 3.5
    assert value(apply("modulo", K, M), k=-7, m=3) == 2.0
    assert value(apply("concat", apply("+", K, constant("1")), constant("!")), "string", k=1) == "2!"


def test_floats_are_rounded_to_32_bits() -> None:
    assert value(apply("+", ref("f"), ref("f")), f=0.1) == pytest.approx(0.2, rel=1e-7)
    assert value(apply("+", ref("f"), ref("f")), f=0.1) != 0.2
    assert value(ref("x"), "float", x=0.1) == 0.10000000149011612


@pytest.mark.parametrize(
    ("function", "all_present", "one_missing"),
    [
        ("min", 1.0, 1.0),
        ("max", 5.0, 5.0),
        ("sum", 8.0, 6.0),
        ("avg", 8 / 3, 3.0),
        ("median", 2.0, 3.0),
        ("product", 10.0, 5.0),
    ],
)
def test_aggregates_ignore_missing_values(function: str, all_present: float, one_missing: float) -> None:
    rows = [{"x": 1.0, "y": 2.0}, {"x": 1.0}, {"y": 2.0, "x": 1.0}]
    made = values(apply(function, X, Y, constant("5.0")), *rows)
    assert made == pytest.approx([all_present, one_missing, all_present])


def test_an_aggregate_of_missing_values_is_missing() -> None:
    for function in ("min", "max", "sum", "avg", "median", "product"):
        assert values(apply(function, X, Y), {}, {"x": 2.0}) == [None, 2.0]


def test_the_average_of_whole_numbers_has_a_fraction() -> None:
    assert value(apply("avg", K, M), k=1, m=2) == 1.5


@pytest.mark.parametrize(("x", "right"), [(0.5, 1.0), (1.5, 2.0), (2.5, 3.0), (-0.5, 0.0), (-1.5, -1.0)])
def test_round_takes_halves_up(x: float, right: float) -> None:
    assert value(apply("round", X), x=x) == right


def test_a_text_may_spell_a_number() -> None:
    assert values(apply("+", ref("s"), X), {"s": "2.5", "x": 1.0}, {"s": "two", "x": 1.0}) == [3.5, FAILS]


@pytest.mark.parametrize(
    ("expression", "named"),
    [
        (apply("frobnicate", X), "frobnicate"),
        (apply("+", X), r"'\+' with 1 arguments"),
        (apply("sqrt", constant("four")), "'four'"),
        (apply("sqrt", ref("day")), "date"),
        (apply("sqrt", X, invalidValueTreatment="asJoke"), "asJoke"),
        ("<Aggregate field='x' function='sum'/>", "Aggregate"),
        ("<Lag field='x'/>", "Lag"),
    ],
)
def test_what_is_not_known_is_refused_by_name(expression: str, named: str) -> None:
    with pytest.raises(Unsupported, match=named):
        value(expression)
