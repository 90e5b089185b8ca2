"""Functions of texts and of dates, and regular expressions (PMML 4.4: Built-in functions)."""

from __future__ import annotations

import time

import pytest

from model_serving.engines.pmml.evaluator.expressions.regular_expressions import (
    Pattern,
    compiled,
    replacement,
)
from model_serving.engines.pmml.evaluator.reading import Unsupported
from tests.pmml_expressions import FAILS, apply, constant, ref, value, values

S, T, K, X = ref("s"), ref("t"), ref("k"), ref("x")


def text(expression: str, **record: object) -> float | str | None:
    return values(expression, record, data_type="string")[0]


def replaced(given: str, pattern: str, substitute: str) -> float | str | None:
    return text(apply("replace", S, constant(pattern), constant(substitute)), s=given)


def test_cases_blanks_and_lengths() -> None:
    assert text(apply("uppercase", S), s="aB c") == "AB C"
    assert text(apply("lowercase", S), s="aB c") == "ab c"
    assert text(apply("trimBlanks", S), s="  a b\t") == "a b"
    assert value(apply("stringLength", S), "integer", s="abc") == 3.0
    assert text(apply("uppercase", S)) == FAILS


@pytest.mark.parametrize(
    ("start", "length", "right"),
    [(1, 3, "abc"), (2, 3, "bcd"), (5, 9, "e"), (9, 2, ""), (2, 0, ""), (0, 2, FAILS), (1, -1, FAILS)],
)
def test_substring_counts_from_one(start: int, length: int, right: str) -> None:
    assert text(apply("substring", S, constant(start), constant(length)), s="abcde") == right


def test_substring_takes_its_places_from_fields() -> None:
    rows = [{"s": "abc", "k": 1, "m": 1}, {"s": "abc", "k": 2, "m": 2}]
    assert values(apply("substring", S, K, ref("m")), *rows, data_type="string") == ["a", "bc"]


def test_concat_spells_values_and_leaves_missing_ones_out() -> None:
    joined = apply("concat", S, K, X, ref("b"))
    assert text(joined, s="a", k=7, x=0.5, b=1) == "a70.5true"
    assert text(joined, s="a", b=0) == "afalse"


def test_only_the_record_of_which_a_whole_number_is_infinite_fails() -> None:
    joined = apply("concat", S, apply("floor", X))
    rows = [{"s": "a", "x": float("inf")}, {"s": "a", "x": 2.5}]
    assert values(joined, *rows, data_type="string") == [FAILS, "a2"]


@pytest.mark.parametrize(
    ("given", "pattern", "substitute", "right"),
    [
        ("Bachelor", "[aeiou]", "", "Bchlr"),
        ("a-b", r"(\w)-(\w)", "$2-$1", "b-a"),
        ("a-b", r"(?&lt;first&gt;\w)-", "${first}+", "a+b"),
        ("x10", r"(\d)(\d)", "$2$12", "x012"),
        ("5 USD", "USD", r"\$", "5 $"),
        ("baac", "a*", "-", "-b--c-"),
        ("été", r"\p{L}", "x", "xxx"),
        ("a.b", r"\Q.\E", "!", "a!b"),
        ("aXb", "(?i)x", "-", "a-b"),
        ("aaa", "a{2}+", "b", "ba"),
    ],
)
def test_replace(given: str, pattern: str, substitute: str, right: str) -> None:
    assert replaced(given, pattern, substitute) == right


def test_matches_finds_a_part() -> None:
    rows = [{"s": "Married"}, {"s": "unMarried"}, {}]
    assert values(apply("matches", S, constant("^Mar")), *rows, data_type="boolean") == [1.0, 0.0, FAILS]
    assert values(apply("matches", S, constant("arr")), *rows[:2], data_type="boolean") == [1.0, 1.0]


def test_words_and_digits_are_ascii_unless_the_expression_says_unicode() -> None:
    assert compiled(r"\w+").matches("für") == ["f", "r"]
    assert compiled(r"(?u)\w+").matches("für") == ["für"]
    assert compiled(r"[^\W_]+").matches("a_b") == ["a", "b"]


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+b",
        "(a|a)*b",
        "(a|ab)*c",
        "(a?b?)*c",
        "((a*)b)*",
        "(x+x+)+y",
        "(.*a){20}",
        "a*a*a*a*a*a*a*a*b",
        "[a-z&&[^b]]",
        "[[a]b]",
        r"\G",
        "(a",
        "a)",
        "*a",
        "(?x)a b",
        r"\p{Klingon}",
        "a" * 3_000,
        "(" * 100 + ")" * 100,
    ],
)
def test_an_expression_that_may_take_too_long_or_is_not_known_is_refused(pattern: str) -> None:
    with pytest.raises(Unsupported, match="regular expression"):
        compiled(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        r"\b\w\w+\b",
        r"^\s*(\d{1,3}\.){3}\d{1,3}\s*$",
        "(foo|bar)+",
        "[^,]*,[^,]*",
        r"(?>a+)b",
        r"a++b",
        "interfaces?",
    ],
)
def test_common_expressions_are_taken(pattern: str) -> None:
    compiled(pattern)


@pytest.mark.parametrize("pattern", ["a*b", "a*a*b", "(a|b){3}c", "^a*a*b", "(?:a{1,5}){4}b"])
def test_the_longest_text_that_an_expression_takes_ends_in_time(pattern: str) -> None:
    made = compiled(pattern)
    worst = "a" * (made.longest // 4)
    started = time.perf_counter()
    made.found(worst)
    assert time.perf_counter() - started < 20.0
    with pytest.raises(ValueError, match="characters"):
        made.found("a" * (made.longest + 1))


def test_a_text_too_long_for_the_expression_has_no_result() -> None:
    longest = compiled("a*a*b").longest
    rows = [{"s": "a" * longest + "b"}, {"s": "ab"}]
    assert values(apply("matches", S, constant("a*a*b")), *rows, data_type="boolean") == [FAILS, 1.0]


def test_a_replacement_that_names_no_group_is_refused() -> None:
    for substitute in ("$1", "$", "${no}", "$x"):
        with pytest.raises(Unsupported, match="names a group"):
            replacement(substitute, compiled("a"))


def test_days_and_seconds_since_a_year() -> None:
    year = constant("1977")
    assert value(apply("dateDaysSinceYear", ref("day"), year), "integer", day="1977-06-01") == 151.0
    assert value(apply("dateDaysSinceYear", ref("day"), year), "integer", day="1976-12-31") == -1.0
    assert value(apply("dateDaysSinceYear", S, year), "integer", s="1979-01-01") == 730.0
    moment = apply("dateSecondsSinceYear", ref("moment"), year)
    assert value(moment, "integer", moment="1977-01-02T00:00:05") == 86_405.0
    clock = apply("dateSecondsSinceMidnight", ref("clock"))
    assert value(clock, "integer", clock="01:00:10") == 3_610.0
    midnight = apply("dateSecondsSinceMidnight", ref("moment"))
    assert value(midnight, "integer", moment="1977-01-02T01:00:10") == 3_610.0


def test_dates_and_times_are_spelled_as_iso() -> None:
    joined = apply("concat", ref("day"), constant(" "), ref("moment"), constant(" "), ref("clock"))
    record = {"day": "1969-12-31", "moment": "2004-08-20T15:04:05", "clock": "01:02:03"}
    assert text(joined, **record) == "1969-12-31 2004-08-20T15:04:05 01:02:03"


@pytest.mark.parametrize(
    "spelled", ["20040820", "2004-W33-5", "04-08-20", "2004-13-01", "yesterday", "2004-08-201"]
)
def test_only_dates_as_pmml_spells_them_are_dates(spelled: str) -> None:
    assert value(apply("dateDaysSinceYear", S, constant("1977")), "integer", s=spelled) == FAILS


def test_a_text_that_is_not_a_date_has_no_result() -> None:
    days = apply("dateDaysSinceYear", S, constant("1977"))
    rows = [{"s": "tomorrow"}, {"s": "1977-01-01"}, {}]
    assert values(days, *rows, data_type="integer") == [FAILS, 0.0, FAILS]


@pytest.mark.parametrize(
    ("pattern", "argument", "record", "right"),
    [
        ("%3d", K, {"k": 2}, "  2"),
        ("%05.1f", X, {"x": 3.14159}, "003.1"),
        ("%d", X, {"x": 2.5}, FAILS),
        ("[%s]", K, {"k": 7}, "[7]"),
        ("%.2e%%", X, {"x": 12345.0}, "1.23e+04%"),
    ],
)
def test_format_number(pattern: str, argument: str, record: dict[str, object], right: str) -> None:
    assert text(apply("formatNumber", argument, constant(pattern)), **record) == right


def test_format_datetime() -> None:
    day = apply("formatDatetime", ref("day"), constant("%m/%d/%y %A %j"))
    assert text(day, day="2004-08-20") == "08/20/04 Friday 233"
    moment = apply("formatDatetime", ref("moment"), constant("%Y%m%d-%H:%M:%S %I%p"))
    assert text(moment, moment="2004-08-20T15:04:05") == "20040820-15:04:05 03PM"
    with pytest.raises(Unsupported, match="%Q"):
        text(apply("formatDatetime", ref("day"), constant("%Q")), day="2004-08-20")


def test_each_different_text_is_worked_on_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    found = Pattern.found

    def counted(self: Pattern, text: str) -> bool:
        calls.append(text)
        return found(self, text)

    monkeypatch.setattr(Pattern, "found", counted)
    rows = [{"s": "a"}, {"s": "b"}] * 10
    values(apply("matches", S, constant("a")), *rows, data_type="boolean")
    assert calls[:2] == ["a", "b"]
    assert len(calls) == 2 + len(rows)  # the batch, then each record alone
