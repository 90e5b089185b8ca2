"""Elements that are read in columns: the same as the parser reads, or none."""

from __future__ import annotations

from types import ModuleType
from typing import Any
from xml.etree.ElementTree import Element, ParseError, fromstring
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_serving.engines.pmml import pieces, pieces_in_arrow, pieces_in_numpy
from model_serving.engines.pmml.column_reading import read_columns
from model_serving.engines.pmml.evaluator.models.column_trees import read_numbers
from model_serving.engines.pmml.evaluator.reading import decimal
from model_serving.engines.pmml.markup import NotPlain
from model_serving.engines.pmml.xml_columns import ColumnElement, XmlColumns


def named(name: str) -> str:
    if name.startswith("q:"):
        raise NotPlain
    return name.removeprefix("p:")


def columns(text: str, encoding: str = "utf-8") -> XmlColumns | None:
    """Reads a text with Arrow, and sees that it is read the same without."""
    content = f"before {text} after".encode(encoding)

    def read(way: ModuleType) -> XmlColumns | None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pieces, "prepare", lambda: way)
            return read_columns(content, len("before "), len(content) - len(" after"), encoding, named)

    found, other = read(pieces_in_arrow), read(pieces_in_numpy)
    if found is None or other is None:
        assert found is other
    else:
        assert (found.texts, found.contents) == (other.texts, other.contents)
        for name in ("tags", "parents", "sets", "owners", "attributes", "values"):
            np.testing.assert_array_equal(getattr(found, name), getattr(other, name))
        assert np.isnan(other.numbers).all()
    return found


def parts(element: Element) -> list[Any]:
    text = element.text if element.text and element.text.strip() else ""
    return [element.tag, element.attrib, text, [parts(one) for one in element]]


NAMES = st.sampled_from(("Node", "True", "a.b-c"))
VALUES = st.text(st.sampled_from("x <>&'\"ß1.5"), max_size=4)
ATTRIBUTES = st.dictionaries(st.sampled_from(("id", "score", "x-y")), VALUES, max_size=3)
LEAVES: st.SearchStrategy[tuple[Any, ...]] = st.tuples(
    NAMES, ATTRIBUTES, st.just([]), st.text(st.sampled_from("ab 1\n"), max_size=3)
)
TREES: st.SearchStrategy[tuple[Any, ...]] = st.recursive(
    LEAVES,
    lambda inner: st.tuples(NAMES, ATTRIBUTES, st.lists(inner, min_size=1, max_size=3), st.just("\n ")),
)


def written(tree: tuple[Any, ...], space: str) -> str:
    name, attributes, inner, text = tree
    said = "".join(f" {key}{space}={space}{_quoted(value)}" for key, value in attributes.items())
    below = "".join(written(one, space) + "\n" * (len(one) % 2) for one in inner)
    if not below and not text:
        return f"<{name}{said}{space}/>"
    return f"<{name}{said}{space}>{escape(text)}{below}</{name}{space}>"


def _quoted(value: str) -> str:
    return '"' + quoteattr(value + "'")[1:-2].replace('"', "&quot;") + '"'


@given(tree=TREES, space=st.sampled_from(("", " ", "\n\t")))
def test_any_elements_are_read_as_the_parser_reads_them(tree: tuple[Any, ...], space: str) -> None:
    text = written(tree, space)
    found = columns(text)
    if found is None:  # only a text in an element without attributes is too much to ask for
        assert any(letter in text for letter in "ab1") or "\n" in text
    else:
        assert parts(found.element(0)) == parts(fromstring(text))
        assert found.levels == max(levels(fromstring(text)))


def levels(element: Element) -> list[int]:
    return [1, *[1 + level for one in element for level in levels(one)]]


FOREST = (
    '<Node id="1"><True/>\r\n<Node score="a&amp;b>" id="2">'
    '<SimplePredicate field="größe" operator="lessThan" value="1.5"/></Node>'
    '<p:Node><SimpleSetPredicate field="f" booleanOperator="isIn"><Array n="2">\n&quot;x&quot; y&lt;</Array>'
    "</SimpleSetPredicate></p:Node></Node>"
)


def test_a_tree_is_read_with_its_references_prefixes_and_texts() -> None:
    found = columns(FOREST)
    assert found is not None
    expected = fromstring(FOREST.replace("p:", ""))
    assert parts(found.element(0)) == parts(expected)
    places = [place for place, one in enumerate(expected.iter()) if one.tag == "SimpleSetPredicate"]
    assert parts(found.element(places[0])) == parts(expected[2][0])
    scores = [found.texts[place] if place >= 0 else None for place in found.column("score")]
    assert scores == [one.get("score") for one in expected.iter()]
    assert (found.column("other") == -1).all()


SPELLED = st.text(st.sampled_from("0123456789.eE+-"), min_size=1, max_size=6)
RARE = st.sampled_from(
    ("INF", "-inf", "-nan", "1_0", " 1", "1 ", "1d", "0x1", "1e999", "-1e-999", "2020-01-01", "٣")
)


@given(texts=st.lists(SPELLED | RARE, min_size=1, max_size=8))
def test_the_numbers_are_those_that_the_standard_reads(texts: list[str]) -> None:
    found = columns("<Node>" + "".join(f'<Node score="{text}"/>' for text in texts) + "</Node>")
    assert found is not None
    for text, number in zip(found.texts, found.numbers, strict=True):
        assert np.isnan(number) or number == _number(text)
    places = found.column("score")[1:]
    np.testing.assert_array_equal(read_numbers(found, places), [_number(text) for text in texts])


@given(numbers=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_every_plain_number_is_read(numbers: list[float]) -> None:
    found = columns("<Node>" + "".join(f'<Node a="x" score="{number!r}"/>' for number in numbers) + "</Node>")
    assert found is not None
    assert found.numbers[found.column("score")[1:]].tolist() == numbers
    assert np.isnan(found.numbers[found.column("a")[1:]]).all()


def _number(text: str) -> float:
    try:
        return decimal(text)
    except ValueError:
        return np.nan


def test_an_element_in_columns_is_filled_once() -> None:
    found = columns(FOREST)
    assert found is not None
    element = ColumnElement("Node", lambda: found)
    assert (element.tag, len(element)) == ("Node", 0)
    element.fill()
    first = element[0]
    element.fill()
    assert element[0] is first
    assert parts(element) == parts(found.element(0))


def test_a_long_text_is_split_the_same() -> None:
    rows = "".join(f'<Node id="{place}" score="{"s" * (place % 7 * 10_000)}"/>' for place in range(300))
    text = f"<Node>{rows}</Node>"
    found = columns(text)
    assert found is not None
    assert parts(found.element(0)) == parts(fromstring(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "text",
        "<Node>",
        "</Node>",
        '<Node id="1">',
        '<Node id="1"',
        '<Node id="1"/><Node id="2"/>',
        '<Node id="1"/>text',
        'text<Node id="1"/>',
        '<Node id="1"></True></Node>',
        '<Node id="1"><True></Node></True>',
        '<Node id="1" id="2"/>',
        '<Node id="1"score="2"/>',
        '<Node id="1" score=2/>',
        '<Node id="<"/>',
        '<Node id="&"/>',
        '<Node id="&other;"/>',
        '<Node id="\x01"/>',
        '<Node id="1">\x01</Node>',
        '<Node id="1">]]></Node>',
        '<Node id="1" "2"/>',
        '<Node "1"/>',
        '<Node id="1"/ >',
        '<Node id="1"><!- -></Node>',
        '<q:Node id="1"/>',
        '<Node q:id="1"/>',
        '<1 id="1"/>',
    ],
)
def test_what_is_not_well_formed_is_not_read(text: str) -> None:
    assert columns(text) is None
    with pytest.raises(ParseError):
        fromstring(text)


MANY_ATTRIBUTES = "<Node " + " ".join(f'a{number}="1"' for number in range(70)) + "/>"


@pytest.mark.parametrize(
    "text",
    [
        "<Node id='1'/>",
        '<Node id="a\tb"/>',
        '<Node id="&#60;"/>',
        '<Node xmlns="urn:x"/>',
        '<Node id="1"><!-- one --></Node>',
        '<Node id="1"><![CDATA[<]]></Node>',
        '<Node id="1"><?one?></Node>',
        '<Node id="1">one<True/></Node>',
        "<Node>one</Node>",
        '<Node id="1">"a" "b"</Node>',
        MANY_ATTRIBUTES,
    ],
)
def test_what_is_rare_is_left_to_the_parser(text: str) -> None:
    assert columns(text) is None
    fromstring(text)


def test_the_encoding_decides_which_bytes_are_read() -> None:
    assert columns('<Node id="ß"/>', "latin-1") is not None
    content = '<Node id="ß"/>'.encode("latin-1")
    assert read_columns(content, 0, len(content), "utf-8", named) is None
    assert read_columns(content, 0, len(content), "ascii", named) is None
