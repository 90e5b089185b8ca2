"""The fast reader of XML: the same tree as the reader that sees every element, or none."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_serving.core.engine import LoadedModel
from model_serving.core.errors import ModelRejected
from model_serving.core.messages import ModelToServe, ModelType
from model_serving.engines.limits import Limits
from model_serving.engines.pmml import xml_tree
from model_serving.engines.pmml.engine import PmmlEngine
from model_serving.engines.pmml.plain_xml import read_plain
from model_serving.engines.pmml.tree_reader import NotInColumns
from model_serving.engines.pmml.xml_columns import ColumnElement
from tests.unit.engines.pmml_builders import SCHEMA, document, ensemble, numeric_target, tree

MODELS = sorted(Path(__file__).resolve().parents[4].joinpath("data", "models").glob("*.pmml"))


class DoctypeFound(Exception):
    """Stands for the error of the caller."""


def refuse(*_: object) -> None:
    raise DoctypeFound


def plain(content: bytes, most_elements: int = 1000, most_levels: int = 100) -> Element | None:
    read = read_plain(content, most_elements, most_levels, refuse)
    return None if read is None else read[0]


def parts(root: Element | None) -> list[tuple[str, list[tuple[str, str]], str | None, str | None]]:
    assert root is not None
    return [(one.tag, list(one.items()), one.text, one.tail) for one in root.iter()]


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_a_sample_model_is_read_the_same(path: Path) -> None:
    content = path.read_bytes()
    assert stripped(plain(content, 1_000_000, 1000)) == stripped(xml_tree._read(content))


def stripped(root: Element | None) -> list[Any]:
    """Returns what ``parts`` does, without blanks. A tree in columns has none between its elements."""
    assert root is not None
    for element in list(root.iter()):
        if isinstance(element, ColumnElement):
            element.fill()
    return [
        (tag, items, (text or "").strip(), (tail or "").strip()) for tag, items, text, tail in parts(root)
    ]


NODES = "".join(f'<p:Node id="{place}"><p:True/></p:Node>' for place in range(1200))
TREE = f'<p:TreeModel><p:Node id="n"><p:True/>\n{NODES}</p:Node></p:TreeModel>'


@pytest.mark.parametrize(
    "content",
    [
        f'<p:PMML xmlns:p="urn:p">{TREE}</p:PMML>',
        f'<PMML xmlns="urn:p" xmlns:p="urn:p">{TREE}</PMML>',
        f'<?xml version="1.0" encoding="iso-8859-1"?><p:PMML xmlns:p="urn:p">ß{TREE}{TREE}</p:PMML>',
        f"<PMML>{TREE.replace('p:', '')}</PMML>",
        f"<PMML><Segment/>{TREE.replace('p:', '')}<Segment>{TREE.replace('p:', '')}</Segment></PMML>",
    ],
)
def test_large_trees_are_in_columns(content: str) -> None:
    encoding = "iso-8859-1" if "iso-8859-1" in content else "utf-8"
    root = plain(content.encode(encoding), 10_000)
    assert root is not None
    trees = [model[0] for model in root.iter("TreeModel")]
    assert len(trees) == content.count("TreeModel") // 2
    assert all(isinstance(tree, ColumnElement) for tree in trees)
    assert stripped(root) == stripped(xml_tree._read(content.encode(encoding)))


@pytest.mark.parametrize(
    ("before", "after"),
    [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?one ", "?>"), ("<Other>", "</Other>")],
)
def test_what_only_looks_like_a_large_tree_is_no_tree(before: str, after: str) -> None:
    tree = TREE.replace("p:", "")
    content = f"<PMML>{before}{tree}{after}<TreeModel/></PMML>".encode()
    assert stripped(xml_tree.read_xml(content, 1 << 20).root) == stripped(xml_tree._read(content))


PLAIN = TREE.replace("p:", "")
ROOT = PLAIN[PLAIN.index("<Node") : PLAIN.rindex("</TreeModel>")]
SERVED = tree('<Node score="1"><True/></Node>', function="regression")


def load(*trees: str, beside: str = "") -> LoadedModel:
    """Loads a document with a sum of trees, and what else there may be."""
    content = document(ensemble("sum", trees, function="regression") + beside, numeric_target())
    return PmmlEngine(Limits()).load(ModelToServe("d", "m", ModelType.PMML, "1", "", content), SCHEMA)


NOT_WELL_FORMED = pytest.mark.parametrize(
    "part", ["<Node>", "<Node a='1' a='2'/>", "&other;", "<Node/></Node>", "</TreeModel>"]
)


@pytest.mark.parametrize("place", [0, 5, 11])
@NOT_WELL_FORMED
def test_a_large_tree_that_is_not_well_formed_is_refused(part: str, place: int) -> None:
    trees = [tree(ROOT, function="regression")] * 12
    trees[place] = trees[place].replace("<True/>", part, 1)
    with pytest.raises(ModelRejected, match="not a well-formed XML document"):
        load(*trees)


@NOT_WELL_FORMED
def test_a_large_tree_that_serves_nothing_has_to_be_well_formed_too(part: str) -> None:
    other = tree(ROOT, function="regression")
    with pytest.raises(ModelRejected, match="not a well-formed XML document"):
        load(SERVED, beside=other.replace("<True/>", part, 1))
    rare = other.replace("<True/>", "<!-- not read in columns --><True/>", 1)
    assert load(SERVED, beside=rare).fields == load(SERVED, beside=other).fields


def test_limits_hold_inside_of_large_trees() -> None:
    def read(content: str, most_elements: int, most_levels: int) -> int:
        found = read_plain(content.encode(), most_elements, most_levels, refuse)
        assert found is not None
        root, trees = found
        (tree,) = root[0]
        assert isinstance(tree, ColumnElement)
        try:
            return len(tree.columns.tags)
        finally:
            trees.close()

    elements = 2 * 1200 + 2
    content = f"<PMML>{PLAIN}</PMML>"
    # Three tags are around the tree without the first one, and one element stands for it.
    assert read(content, elements + 4, 5) == elements
    with pytest.raises(NotInColumns):
        read(content, elements + 3, 5)
    deeper = content.replace("<True/></Node>", "<True><a/></True></Node>", 1)
    assert read(deeper, 10_000, 6) == elements + 1
    with pytest.raises(NotInColumns):
        read(deeper, 10_000, 5)


def test_what_is_beyond_the_limits_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    deep = "<Node><True/>" * 2000 + "</Node>" * 2000
    with pytest.raises(ModelRejected, match="nests more than 1000 elements"):
        load(tree(deep, function="regression"))
    many = [tree(ROOT, function="regression")] * 3
    assert load(*many).fields
    monkeypatch.setattr(xml_tree, "MOST_ELEMENTS", 5000)
    with pytest.raises(ModelRejected, match="has more than 5,000 elements"):
        load(*many)


NAMES = st.sampled_from(("Node", "a", "p:a", "q:b", "größe"))
TEXTS = st.text(st.sampled_from(' x<>&"ß\n'), max_size=4)
ATTRIBUTES = st.dictionaries(st.sampled_from(("id", "p:id", "xsi:type")), TEXTS, max_size=2)
TREES: st.SearchStrategy[tuple[Any, ...]] = st.recursive(
    st.tuples(NAMES, ATTRIBUTES, st.just([]), TEXTS, TEXTS),
    lambda inner: st.tuples(NAMES, ATTRIBUTES, st.lists(inner, max_size=3), TEXTS, TEXTS),
)


def made(tree: tuple[Any, ...]) -> Element:
    name, attributes, inner, text, tail = tree
    element = Element(name, attributes)
    element.text, element.tail = text, tail
    element.extend(made(one) for one in inner)
    return element


@given(
    tree=TREES,
    declared=st.sampled_from(("", 'xmlns="urn:o"', 'xmlns="urn:o" xmlns:p="urn:o" xmlns:q="urn:q"')),
    encoding=st.sampled_from(("utf-8", "latin-1", "utf-16")),
)
def test_any_document_is_read_the_same_or_not_at_all(
    tree: tuple[Any, ...], declared: str, encoding: str
) -> None:
    around = Element("PMML")
    around.append(made(tree))
    written = xml_tree.written(around).replace("<PMML", f"<PMML {declared} xmlns:xsi='urn:xsi' a='>'")
    content = f'<?xml version="1.0" encoding="{encoding}"?>{written}'.encode(encoding)
    found = plain(content)
    if found is None:
        undeclared = "xmlns:p" not in declared and ("p:" in written or "q:" in written)
        assert undeclared or encoding == "utf-16"
    else:
        assert parts(found) == parts(xml_tree._read(content))


@pytest.mark.parametrize(
    "content",
    [
        b'<PMML><Header xmlns="urn:x"/></PMML>',
        b"<PMML><p:Header/></PMML>",
        b"<PMML><Header></PMML>",
        b"<PMML/><PMML/>",
        b"<PMML>",
        b"",
        b"text",
        '<PMML xmlns:ß="urn:p"/>'.encode(),
        b'<?xml version="1.0" encoding="cp037"?>' + "<PMML/>".encode("cp037"),
        "<PMML/>".encode("utf-16"),
        b"<PMML>" + b" " * (1 << 13) + b"</Other>",
    ],
)
def test_what_is_not_plain_is_left_to_the_other_reader(content: bytes) -> None:
    assert plain(content) is None


@pytest.mark.parametrize("place", ["", " " * 3000])
def test_a_doctype_is_found_before_anything_else_is_read(place: str) -> None:
    content = f'<?xml version="1.0"?>{place}<!DOCTYPE PMML [<!ENTITY e "x">]><PMML>&e;</PMML>'.encode()
    with pytest.raises(DoctypeFound):
        plain(content)
    with pytest.raises(ModelRejected, match="has a DOCTYPE"):
        xml_tree.read_xml(content, 1 << 20)


def test_limits_hold_wherever_the_elements_are() -> None:
    def nested(before: int, levels: int) -> bytes:
        return b"<PMML>" + b"<!-- -->" * before + b"<a>" * levels + b"</a>" * levels + b"</PMML>"

    for before in (0, 1000, 1020, 1024, 2000):
        assert plain(nested(before, 2000), 100_000, 1000) is None
        assert plain(nested(before, 100), 100_000, 3000) is not None
    assert plain(b"<PMML>" + b"<a/>" * 20 + b"</PMML>", most_elements=20) is None
    assert plain(b"<PMML>" + b"<a/>" * 20 + b"</PMML>", most_elements=30) is not None


def test_names_of_xml_itself_are_no_part_of_a_model() -> None:
    root = xml_tree.read_xml(b'<PMML><Header xml:lang="en"/></PMML>', 100).root
    assert root[0].attrib == {"{http://www.w3.org/XML/1998/namespace}lang": "en"}
