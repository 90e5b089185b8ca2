from __future__ import annotations

from xml.etree.ElementTree import Element

import numpy as np
import pytest

from model_serving.core.errors import ModelRejected
from model_serving.engines.pmml import xml_tree
from model_serving.engines.pmml.evaluator.compiler import compile_document
from model_serving.engines.pmml.xml_tree import read_xml, written
from tests.pmml_cases import load_document
from tests.unit.engines import pmml_builders

BODY = """<PMML version="4.3"><Header/><DataDictionary>
<DataField name="größe" optype="continuous" dataType="double"/>
<DataField name="art" optype="categorical" dataType="string"/>
<DataField name="y" optype="categorical" dataType="string"><Value value="1"/><Value value="2"/>
<Value value="?" property="missing"/></DataField></DataDictionary>
<TreeModel functionName="classification"><MiningSchema><MiningField name="art"/>
<MiningField name="y" usageType="target"/><MiningField name="größe"/>
<MiningField name="extra" usageType="supplementary"/></MiningSchema>
<Node score="1"><True/><Extension name="x"/>%s</Node></TreeModel></PMML>"""


def read(content: bytes, most_bytes: int = 1 << 20) -> Element:
    return read_xml(content, most_bytes).root


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
def test_a_document_is_read_from_any_encoding(content: bytes) -> None:
    root = read(content)
    assert [field.get("name") for field in root.iter("DataField")] == ["größe", "art", "y"]
    assert "größe" in written(root)


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
        (
            b'<!DOCTYPE PMML [<!ENTITY x SYSTEM "file:///etc/passwd">]><PMML>&x;</PMML>',
            "the PMML document has a DOCTYPE, which could pull in other files: remove it",
        ),
        (deep(1100), "the PMML document nests more than 1000 elements: flatten the model"),
    ],
    ids=["empty", "binary", "cut", "encoding", "doctype", "deep"],
)
def test_what_is_not_safe_xml_is_rejected(content: bytes, text: str) -> None:
    with pytest.raises(ModelRejected) as caught:
        read(content)
    assert str(caught.value) == text


def test_a_tree_may_be_deep() -> None:
    assert written(read(deep(990))).count("<Node") == 991


def test_sizes_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml_tree, "MOST_ELEMENTS", 5)
    with pytest.raises(ModelRejected, match="has more than 5 elements"):
        read(document().encode())
    with pytest.raises(ModelRejected, match=r"the limit is 10: .* --pmml-size-limit$"):
        read(document().encode(), 10)


KIND = 'optype="continuous" dataType="double"'


def lines(*intercepts: str) -> bytes:
    """Returns a document with a regression for each text of attributes, which gives its place from 1 on."""
    models = "".join(
        f'<RegressionModel functionName="regression" {said}><MiningSchema><MiningField name="a"/>'
        f'</MiningSchema><RegressionTable intercept="{place}"/></RegressionModel>'
        for place, said in enumerate(intercepts, 1)
    )
    return pmml_builders.document(models, "")


@pytest.mark.parametrize(
    ("models", "served"),
    [
        (("", ""), 1.0),
        (('isScorable="false"', ""), 2.0),
        (('isScorable="0"', 'isScorable="false"', 'modelName="last"', ""), 3.0),
    ],
)
def test_the_first_model_that_may_be_scored_is_served(models: tuple[str, ...], served: float) -> None:
    model = load_document(lines(*models))
    assert model.score(np.array([[0.0]])).result.tolist() == [served]


def test_models_that_are_not_served_are_mentioned() -> None:
    root = read(lines('isScorable="false"', 'modelName="one"', ""))
    assert compile_document(root).program.warnings == [
        "the document has 3 models: the RegressionModel 'one' is served, as the first that may be scored"
    ]
    assert compile_document(read(lines('isScorable="false"', ""))).program.warnings == []


@pytest.mark.parametrize(
    ("models", "wanted"),
    [(('modelName="one"',), "model1"), (('modelName="one"', ""), "one"), (("", 'modelName="two"'), "")],
)
def test_transformations_may_name_the_model_that_they_are_for(models: tuple[str, ...], wanted: str) -> None:
    made = f'<TransformationDictionary for="{wanted}"><DerivedField name="d" {KIND}><FieldRef field="a"/>'
    content = lines(*models).replace(
        b"</DataDictionary>", f"</DataDictionary>{made}</DerivedField></TransformationDictionary>".encode()
    )
    predictor = b'><NumericPredictor name="d" coefficient="2"/></RegressionTable>'
    content = content.replace(b'intercept="1"/>', b'intercept="1"' + predictor)
    assert load_document(content).score(np.array([[3.0]])).result.tolist() == [7.0]


def test_transformations_for_another_model_are_refused() -> None:
    content = lines('modelName="one"', 'modelName="two"').replace(
        b"</DataDictionary>", b'</DataDictionary><TransformationDictionary for="two"/>'
    )
    with pytest.raises(
        ModelRejected, match=r"for the model 'two', which is not the one that is served: export"
    ):
        load_document(content)


def test_a_document_of_which_no_model_may_be_scored_is_refused() -> None:
    with pytest.raises(ModelRejected, match=r"has a RegressionModel that is not meant to be scored \(isScor"):
        load_document(lines('isScorable="false"', 'isScorable="0"'))


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("FancyModel", "export a model of a kind that docs/models.md names"),
        ("TextModel", "train a model of another kind on TextIndex fields"),
    ],
)
def test_a_model_of_another_kind_is_named(name: str, advice: str) -> None:
    content = pmml_builders.document(f"<{name}/>", "")
    with pytest.raises(ModelRejected, match=rf"^the PMML document has the model {name}: {advice}$"):
        load_document(content)
