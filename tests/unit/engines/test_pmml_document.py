from __future__ import annotations

from xml.etree.ElementTree import fromstring

import pytest

from model_serving.core.errors import ModelRejected
from model_serving.engines.pmml import xml_tree
from model_serving.engines.pmml.document import PmmlDocument, PmmlInput, read_pmml

BODY = """<PMML version="4.3"><Header/><DataDictionary>
<DataField name="größe" optype="continuous" dataType="double"/>
<DataField name="art" optype="categorical" dataType="string"/>
<DataField name="y" optype="categorical" dataType="string"><Value value="1"/><Value value="2"/>
<Value value="?" property="missing"/></DataField></DataDictionary>
<TreeModel functionName="classification"><MiningSchema><MiningField name="art"/>
<MiningField name="y" usageType="target"/><MiningField name="größe"/>
<MiningField name="extra" usageType="supplementary"/></MiningSchema>
<Node score="1"><True/><Extension name="x"/>%s</Node></TreeModel></PMML>"""


def document(distributions: str = "") -> str:
    return BODY % distributions


@pytest.mark.parametrize(
    "content",
    [
        document().encode(),
        b"\xef\xbb\xbf" + document().encode(),
        ('<?xml version="1.0" encoding="ISO-8859-1"?>' + document()).encode("latin-1"),
        ('<?xml version="1.0" encoding="UTF-16"?>' + document()).encode("utf-16"),
        ('<?xml version="1.0" encoding="windows-1252"?>' + document()).encode("cp1252"),
    ],
    ids=["utf-8", "utf-8 with BOM", "latin-1", "utf-16", "windows-1252"],
)
def test_inputs_and_classes_are_read_from_any_encoding(content: bytes) -> None:
    read = read_pmml(content)
    assert read == PmmlDocument(
        text=read.text,
        inputs=(PmmlInput("art", "string"), PmmlInput("größe", "double")),
        function="classification",
        classes=("1", "2"),
        selects_first=False,
        root=read.root,
    )
    assert "größe" in read.text


DISTRIBUTION = '<ScoreDistribution value="2" recordCount="4"{}/>'


@pytest.mark.parametrize(
    ("given", "mended"),
    [
        (
            DISTRIBUTION.format(""),
            [{"value": "1", "recordCount": "0"}, {"value": "2", "recordCount": "4"}],
        ),
        (
            DISTRIBUTION.format(' probability="1"') + '<ScoreDistribution value="1" recordCount="0"/>',
            [{"value": "1", "recordCount": "0"}, {"value": "2", "recordCount": "4", "probability": "1"}],
        ),
        (
            DISTRIBUTION.format(' confidence="1"'),
            [
                {"value": "1", "recordCount": "0", "confidence": "0"},
                {"value": "2", "recordCount": "4", "confidence": "1"},
            ],
        ),
        ('<ScoreDistribution value="9" recordCount="4"/>', [{"value": "9", "recordCount": "4"}]),
        ("", []),
    ],
    ids=["a class is missing", "wrong order", "confidence too", "an unknown class", "no distribution"],
)
def test_distributions_get_every_class_in_order(given: str, mended: list[dict[str, str]]) -> None:
    root = fromstring(read_pmml(document(given).encode()).text)
    assert [part.attrib for part in root.iter("ScoreDistribution")] == mended
    assert [part.tag for part in next(root.iter("Node"))][:2] == ["True", "Extension"]


def deep(levels: int) -> bytes:
    return document("<Node><True/>" * levels + "</Node>" * levels).encode()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "not a well-formed XML document: no element found: line 1, column 0"),
        (b"\x00\x01", "not a well-formed XML document: not well-formed (invalid token): line 1, column 0"),
        (b"<PMML>", "not a well-formed XML document: no element found: line 1, column 6"),
        (
            b'<?xml version="1.0" encoding="klingon"?><PMML/>',
            "not a well-formed XML document: unknown encoding: klingon",
        ),
        (b"<html/>", "not a PMML document: its root element is 'html'"),
        (b"<PMML><Header/><DataDictionary/></PMML>", "the PMML document has no model in it"),
        (
            b"<PMML><TreeModel/></PMML>",
            "the PMML model has no active field in its MiningSchema: it would score nothing",
        ),
        (
            b'<!DOCTYPE PMML [<!ENTITY x SYSTEM "file:///etc/passwd">]><PMML>&x;</PMML>',
            "the PMML document has a DOCTYPE, which could pull in other files: remove it",
        ),
        (deep(1100), "the PMML document nests more than 1000 elements: flatten the model"),
    ],
    ids=["empty", "binary", "cut", "encoding", "html", "no model", "no inputs", "doctype", "deep"],
)
def test_what_is_no_safe_pmml_is_rejected(content: bytes, text: str) -> None:
    with pytest.raises(ModelRejected) as caught:
        read_pmml(content)
    assert str(caught.value) == text


def test_a_tree_may_be_deep() -> None:
    assert read_pmml(deep(990)).text.count("<Node") == 991


def test_sizes_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml_tree, "MOST_ELEMENTS", 5)
    with pytest.raises(ModelRejected, match="has more than 5 elements"):
        read_pmml(document().encode())
    with pytest.raises(ModelRejected, match=r"the limit is 10: .* --pmml-size-limit$"):
        read_pmml(document().encode(), 10)
