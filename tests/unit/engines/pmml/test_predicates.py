"""Predicates with their three values: true, false, and unknown for missing values (PMML 4.4, TreeModel)."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import fromstring

import numpy as np
import pytest

from model_serving.engines.pmml.evaluator.batch import Batch
from model_serving.engines.pmml.evaluator.data_types import Kind
from model_serving.engines.pmml.evaluator.predicates import compile_predicate
from model_serving.engines.pmml.evaluator.reading import Unsupported
from model_serving.engines.pmml.evaluator.record import Record
from model_serving.engines.pmml.evaluator.scope import Program, Scope
from model_serving.engines.pmml.evaluator.symbols import Texts

T, F, U = "true", "false", "unknown"
KINDS = {
    "x": Kind("double", "continuous"),
    "f": Kind("float", "continuous"),
    "i": Kind("integer", "continuous"),
    "b": Kind("boolean", "categorical"),
    "c": Kind("string", "categorical"),
    "o": Kind("string", "ordinal"),
}


def outcomes(xml: str, **columns: Sequence[float | str | None]) -> list[str]:
    """Evaluates a predicate over columns of values and returns one word for each record.

    Each record alone must have the same outcome.
    """
    program = Program()
    scope = Scope(program)
    order = tuple(program.symbols.code(text) for text in ("low", "middle", "high"))
    fields = {
        name: scope.declare(program.field(name, kind, None, order if name == "o" else ()))
        for name, kind in KINDS.items()
    }
    predicate = compile_predicate(fromstring(xml), scope)
    n = len(next(iter(columns.values())))
    texts = Texts(program.symbols)
    batch, alone = Batch(n, texts), [Record([], texts) for _ in range(n)]
    for name, values in columns.items():
        coded = [
            np.nan if value is None else texts.code(value) if isinstance(value, str) else value
            for value in values
        ]
        batch.put(fields[name], np.array(coded, dtype=np.float64))
        for one, value in zip(alone, coded, strict=True):
            one.known[fields[name].slot] = value
    true, unknown = predicate.evaluate(batch)
    assert not (true & unknown).any()
    words = [U if u else T if t else F for t, u in zip(true.tolist(), unknown.tolist(), strict=True)]
    assert [{None: U, True: T, False: F}[predicate.one(one)] for one in alone] == words
    return words


def simple(field: str, operator: str, value: str) -> str:
    return f'<SimplePredicate field="{field}" operator="{operator}" value="{value}"/>'


@pytest.mark.parametrize(
    ("operator", "right"),
    [
        ("lessThan", [T, F, F, U]),
        ("lessOrEqual", [T, T, F, U]),
        ("greaterThan", [F, F, T, U]),
        ("greaterOrEqual", [F, T, T, U]),
        ("equal", [F, T, F, U]),
        ("notEqual", [T, F, T, U]),
    ],
)
def test_a_comparison_with_a_missing_value_is_unknown(operator: str, right: list[str]) -> None:
    assert outcomes(simple("x", operator, "1"), x=[0.0, 1.0, 2.0, None]) == right


def test_missing_is_asked_for_and_never_unknown() -> None:
    assert outcomes('<SimplePredicate field="x" operator="isMissing"/>', x=[1.0, None]) == [F, T]
    assert outcomes('<SimplePredicate field="x" operator="isNotMissing"/>', x=[1.0, None]) == [T, F]


def test_a_bound_of_a_float_field_is_rounded_to_32_bits_as_its_values_are() -> None:
    value = float(np.float32(0.1))
    assert outcomes(simple("f", "lessOrEqual", "0.1"), f=[value]) == [T]
    assert outcomes(simple("f", "equal", "0.1"), f=[value]) == [T]


def test_a_bound_of_whole_numbers_may_have_a_fraction() -> None:
    assert outcomes(simple("i", "lessOrEqual", "0.5"), i=[0.0, 1.0]) == [T, F]
    assert outcomes(simple("i", "equal", "0.5"), i=[0.0, 1.0]) == [F, F]


def test_a_boolean_has_a_side_of_a_fraction() -> None:
    """R's rpart splits a logical column at 0.5, and JPMML-R 1.5 writes the bound as it is."""
    assert outcomes(simple("b", "lessThan", "0.5"), b=[0.0, 1.0, None]) == [T, F, U]
    assert outcomes(simple("b", "greaterOrEqual", "0.5"), b=[0.0, 1.0, None]) == [F, T, U]
    with pytest.raises(
        Unsupported, match="'half' of a SimplePredicate, which does not spell a value of type"
    ):
        outcomes(simple("b", "lessThan", "half"), b=[0.0])


def test_a_boolean_is_compared_as_it_is_spelled() -> None:
    assert outcomes(simple("b", "equal", "true"), b=[1.0, 0.0, None]) == [T, F, U]
    assert outcomes(simple("b", "equal", "0"), b=[1.0, 0.0, None]) == [F, T, U]


def test_ordinal_values_are_compared_in_the_order_that_the_document_declares() -> None:
    values = ["low", "middle", "high", "never heard of", None]
    assert outcomes(simple("o", "lessThan", "high"), o=values) == [T, T, F, F, U]
    assert outcomes(simple("o", "greaterOrEqual", "middle"), o=values) == [F, T, T, F, U]


def test_texts_without_a_declared_order_are_compared_by_their_characters() -> None:
    assert outcomes(simple("c", "lessThan", "b"), c=["a", "b", "bb", None]) == [T, F, F, U]


def test_sets_are_of_the_type_of_the_field_and_may_quote_their_items() -> None:
    numbers = (
        '<SimpleSetPredicate field="i" booleanOperator="isIn">'
        '<Array type="real">4.0 5</Array></SimpleSetPredicate>'
    )
    assert outcomes(numbers, i=[4.0, 5.0, 6.0, None]) == [T, T, F, U]
    texts = (
        '<SimpleSetPredicate field="c" booleanOperator="isNotIn">'
        '<Array n="3" type="string">"a b" c "d\\"e"</Array></SimpleSetPredicate>'
    )
    assert outcomes(texts, c=["a b", "c", 'd"e', "a", None]) == [F, F, F, T, U]
    nothing = (
        '<SimpleSetPredicate field="c" booleanOperator="isIn"><Array type="string"/></SimpleSetPredicate>'
    )
    assert outcomes(nothing, c=["a", None]) == [F, U]


@pytest.mark.parametrize(
    ("operator", "right"),
    [
        #        TT TF FT FF TU FU UT UF UU
        ("and", [T, F, F, F, U, F, U, F, U]),
        ("or", [T, T, T, F, T, U, T, U, U]),
        ("xor", [F, T, T, F, U, U, U, U, U]),
        ("surrogate", [T, T, F, F, T, F, T, F, U]),
    ],
)
def test_compound_predicates_follow_the_tables_of_the_standard(operator: str, right: list[str]) -> None:
    xml = (
        f'<CompoundPredicate booleanOperator="{operator}">'
        f"{simple('x', 'equal', '1')}{simple('i', 'equal', '1')}</CompoundPredicate>"
    )
    first = [1.0, 1.0, 0.0, 0.0, 1.0, 0.0, None, None, None]
    second = [1.0, 0.0, 1.0, 0.0, None, None, 1.0, 0.0, None]
    assert outcomes(xml, x=first, i=second) == right


@pytest.mark.parametrize(
    ("xml", "reason"),
    [
        (simple("nowhere", "equal", "1"), "'nowhere', which is declared nowhere"),
        (simple("x", "near", "1"), "operator 'near'"),
        (simple("x", "lessThan", "much"), "value 'much'"),
        ('<SimplePredicate field="x" operator="equal"/>', "without value"),
        ('<CompoundPredicate booleanOperator="and"/>', "without predicates"),
        (
            '<CompoundPredicate booleanOperator="and">' * 500 + "<True/>" + "</CompoundPredicate>" * 500,
            "more than 100 CompoundPredicates",
        ),
    ],
)
def test_what_is_not_known_is_refused_by_name(xml: str, reason: str) -> None:
    with pytest.raises(Unsupported, match=reason):
        outcomes(xml, x=[1.0])


def test_a_backslash_in_an_array_escapes_quotes_only() -> None:
    texts = (r"C:\temp", 'say "hi"', r"a\\b", "it's", "C:temp")
    array = r'<Array n="4" type="string">"C:\temp" "say \"hi\"" "a\\b" it\'s</Array>'
    element = f'<SimpleSetPredicate field="c" booleanOperator="isIn">{array}</SimpleSetPredicate>'
    assert outcomes(element, c=texts) == [T, T, T, F, F]


@pytest.mark.parametrize("text", ['"a" "b', '"a"b', '"it "s" mine"', '"a""b"'])
def test_quotes_that_do_not_stand_around_an_item_are_refused(text: str) -> None:
    array = f'<Array type="string">{text}</Array>'
    with pytest.raises(Unsupported, match=r"an Array in which the quotes of \S+ do not stand around an item"):
        outcomes(
            f'<SimpleSetPredicate field="c" booleanOperator="isIn">{array}</SimpleSetPredicate>', c=["a"]
        )
