"""NormContinuous, NormDiscrete, Discretize, MapValues and TextIndex (PMML 4.4: Transformations)."""

from __future__ import annotations

import math

import pytest

from model_serving.engines.pmml.evaluator.reading import Unsupported
from tests.pmml_expressions import FAILS, constant, ref, value, values


def norm(points: str, **attributes: str) -> str:
    said = "".join(f' {name}="{one}"' for name, one in attributes.items())
    norms = "".join('<LinearNorm orig="{}" norm="{}"/>'.format(*point.split(":")) for point in points.split())
    return f'<NormContinuous field="x"{said}>{norms}</NormContinuous>'


XS = [{"x": one} for one in (-1.0, 0.0, 1.0, 3.0, 5.0, 7.0)]


@pytest.mark.parametrize(
    ("outliers", "right"),
    [
        ("asIs", [-2.0, 0.0, 2.0, 3.0, 4.0, 5.0]),
        ("asExtremeValues", [0.0, 0.0, 2.0, 3.0, 4.0, 4.0]),
        ("asMissingValues", [None, 0.0, 2.0, 3.0, 4.0, None]),
    ],
)
def test_norm_continuous(outliers: str, right: list[float | None]) -> None:
    assert values(norm("0:0 1:2 5:4", outliers=outliers), *XS) == right


def test_norm_continuous_of_two_points_and_of_missing_values() -> None:
    assert values(norm("0:1 2:5"), {"x": 1.0}, {}) == [3.0, None]
    assert values(norm("0:1 2:5", mapMissingTo="9"), {"x": 1.0}, {}) == [3.0, 9.0]
    assert values(norm("0:1 2:5", mapMissingTo="9", outliers="asMissingValues"), {"x": 3.0}) == [9.0]


@pytest.mark.parametrize("points", ["0:1", "1:0 0:1", "0:0 0:1"])
def test_norm_continuous_needs_ascending_points(points: str) -> None:
    with pytest.raises(Unsupported, match="ascending"):
        value(norm(points))


def test_norm_discrete() -> None:
    assert values('<NormDiscrete field="s" value="a"/>', {"s": "a"}, {"s": "b"}, {}) == [1.0, 0.0, None]
    assert values('<NormDiscrete field="s" value="a" mapMissingTo="0.5"/>', {"s": "b"}, {}) == [0.0, 0.5]
    assert values('<NormDiscrete field="k" value="2.0"/>', {"k": 2}, {"k": 3}) == [1.0, 0.0]
    assert values('<NormDiscrete field="b" value="true"/>', {"b": 1}, {"b": 0}) == [1.0, 0.0]
    assert values('<NormDiscrete field="k" value="none"/>', {"k": 2}) == [0.0]


def bins(*intervals: str, **attributes: str) -> str:
    said = "".join(f' {name}="{one}"' for name, one in attributes.items())
    inner = ""
    for one in intervals:
        result, closure, left, right = one.split()
        margins = "".join(
            f' {side}Margin="{margin}"'
            for side, margin in (("left", left), ("right", right))
            if margin != "-"
        )
        inner += (
            f'<DiscretizeBin binValue="{result}"><Interval closure="{closure}"{margins}/></DiscretizeBin>'
        )
    return f'<Discretize field="x"{said}>{inner}</Discretize>'


def test_discretize_keeps_to_the_closure_of_its_bins() -> None:
    made = bins("low openOpen - 0", "zero closedClosed 0 0", "some openClosed 0 3", "more openOpen 5 -")
    right = ["low", "zero", "some", "some", None, "more"]
    assert values(made, *XS, data_type="string") == right
    made = bins("low openOpen - 0", defaultValue="other", mapMissingTo="gone")
    assert values(made, {"x": -1.0}, {"x": 2.0}, {}, data_type="string") == ["low", "other", "gone"]


def test_the_first_of_overlapping_bins_counts() -> None:
    made = bins("1 closedClosed 0 3", "2 closedClosed 1 5", dataType="integer")
    assert values(made, *XS) == [None, 1.0, 1.0, 1.0, 2.0, None]


def test_bins_are_values_of_the_derived_field() -> None:
    assert values(bins("1 closedOpen 0 3", "two closedOpen 3 9"), *XS[1:4]) == [1.0, 1.0, FAILS]


def table(*rows: str, fields: str = "s:from", prefix: str = "", **attributes: str) -> str:
    said = "".join(f' {name}="{one}"' for name, one in attributes.items())
    pairs = "".join(
        '<FieldColumnPair field="{}" column="{}"/>'.format(*pair.split(":")) for pair in fields.split()
    )
    names = [*(pair.split(":")[1] for pair in fields.split()), "to"]
    lines = "".join(
        "<row>"
        + "".join(f"<{prefix}{n}>{v}</{prefix}{n}>" for n, v in zip(names, row.split(), strict=True))
        + "</row>"
        for row in rows
    )
    return f'<MapValues outputColumn="{prefix}to"{said}>{pairs}<InlineTable>{lines}</InlineTable></MapValues>'


@pytest.mark.parametrize("prefix", ["", "data:"])
def test_map_values_of_one_field(prefix: str) -> None:
    made = table("a 1", "b 2", prefix=prefix)
    assert values(made, {"s": "a"}, {"s": "b"}, {"s": "c"}, {}) == [1.0, 2.0, None, None]
    made = table("a 1", "b 2", prefix=prefix, defaultValue="8", mapMissingTo="9")
    assert values(made, {"s": "a"}, {"s": "c"}, {}) == [1.0, 8.0, 9.0]


def test_map_values_of_several_fields() -> None:
    made = table(
        "a 1 p", "a 2.0 q", "b 1 r", fields="s:from k:number", defaultValue="none", mapMissingTo="gone"
    )
    rows: list[dict[str, object]] = [
        {"s": "a", "k": 1},
        {"s": "a", "k": 2},
        {"s": "b", "k": 1},
        {"s": "b", "k": 2},
        {"s": "c", "k": 1},
        {"s": "a"},
    ]
    assert values(made, *rows, data_type="string") == ["p", "q", "r", "none", "none", "gone"]


def test_a_table_may_have_rows_that_no_record_has() -> None:
    assert values(table("all 1", "2 5", fields="k:from"), {"k": 2}, {"k": 3}) == [5.0, None]


@pytest.mark.parametrize(
    ("made", "named"),
    [
        (table("a 1", "a 2"), "two rows for a"),
        (
            '<MapValues outputColumn="to"><FieldColumnPair field="s" column="c"/><TableLocator/></MapValues>',
            "TableLocator",
        ),
        (table("a 1").replace('outputColumn="to"', 'outputColumn="elsewhere"'), "elsewhere"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(made: str, named: str) -> None:
    with pytest.raises(Unsupported, match=named):
        value(made)


def index(term: str, inner: str = "", **attributes: str) -> str:
    said = "".join(f' {name}="{one}"' for name, one in attributes.items())
    return f'<TextIndex textField="s"{said}>{inner}{constant(term)}</TextIndex>'


TEXT = "Sun is shining, the sun is hot; SUN!"


@pytest.mark.parametrize(
    ("attributes", "right"),
    [
        ({}, 3.0),
        ({"isCaseSensitive": "true"}, 1.0),
        ({"localTermWeights": "binary"}, 1.0),
        ({"localTermWeights": "logarithmic"}, math.log10(4)),
        ({"localTermWeights": "augmentedNormalizedTermFrequency"}, 1.0),
        ({"maxLevenshteinDistance": "1"}, 3.0),
        ({"wordSeparatorCharacterRE": "[, ]"}, 3.0),
        ({"wordSeparatorCharacterRE": "; ?"}, 1.0),
        ({"x-wordRE": r"\w\w\w\w+"}, 0.0),
    ],
)
def test_how_often_a_term_stands_in_a_text(attributes: dict[str, str], right: float) -> None:
    made = index("sun", **attributes)
    assert value(made, s=TEXT) == pytest.approx(right)
    assert values(made, {}, {"s": "moon"}) == [None, pytest.approx(0.5 * 0 + 0.0)]


def test_a_term_may_be_several_words_or_almost_the_same() -> None:
    assert value(index("sun is"), s=TEXT) == 2.0
    assert value(index("son is", maxLevenshteinDistance="1"), s=TEXT) == 2.0
    assert value(index("son is"), s=TEXT) == 0.0
    close = "sun sum son"
    assert value(index("sun", maxLevenshteinDistance="1"), s=close) == 3.0
    assert value(index("sun", maxLevenshteinDistance="1", countHits="bestHits"), s=close) == 1.0


def test_a_term_may_come_from_a_field() -> None:
    made = f'<TextIndex textField="s">{ref("t")}</TextIndex>'
    assert values(made, {"s": "a b a", "t": "a"}, {"s": "a b a", "t": "c"}, {"s": "a"}) == [2.0, 0.0, None]


def test_normalizations_change_the_text_before_it_is_split() -> None:
    rows = (
        "<row><string>interfaces?</string><stem>interface</stem><regex>true</regex></row>"
        "<row><string>is</string><stem>be</stem><regex>false</regex></row>"
    )
    inner = (
        '<TextIndexNormalization inField="string" outField="stem" regexField="regex">'
        f"<InlineTable>{rows}</InlineTable></TextIndexNormalization>"
    )
    given = "This is an interface, these are Interfaces"
    assert value(index("interface", inner), s=given) == 2.0
    assert value(index("be", inner), s=given) == 1.0


def test_a_recursive_normalization_goes_on_until_nothing_changes() -> None:
    inner = (
        '<TextIndexNormalization inField="a" outField="b" regexField="c" recursive="{}"><InlineTable>'
        "<row><a>xx</a><b>x</b><c>true</c></row></InlineTable></TextIndexNormalization>"
    )
    assert value(index("x", inner.format("true")), s="xxxxx") == 1.0
    assert value(index("x", inner.format("false")), s="xxxxx") == 0.0
    endless = inner.format("true").replace("<b>x</b>", "<b>xxx</b>")
    assert values(index("x", endless), {"s": "xx"}, {"s": "x"}) == [FAILS, 1.0]
