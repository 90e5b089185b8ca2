"""The same PMML document in other spellings: prefixes, namespaces, encodings, leading white space."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from xml.etree.ElementTree import fromstring

import numpy as np
import pytest

from model_serving.core.engine import LoadedModel
from model_serving.core.errors import ModelRejected
from model_serving.core.messages import ModelType
from model_serving.engines.pmml.xml_tree import read_xml, written
from model_serving.wire import RecordCodec
from tests.unit.engines.pmml_builders import SCHEMA

Load = Callable[..., LoadedModel]

MODELS = sorted(Path(__file__).resolve().parents[3].joinpath("data", "models").glob("*.pmml"))
WINE = RecordCodec("model_serving.protos.winerecord_pb2:WineRecord").schema
LINE = (
    '<PMML xmlns="http://www.dmg.org/PMML-4_4" version="4.4"><Header/><DataDictionary>'
    '<DataField name="a" optype="continuous" dataType="double"/>'
    '<DataField name="y" optype="continuous" dataType="double"/></DataDictionary>{transformations}'
    '<RegressionModel functionName="regression"><MiningSchema><MiningField name="a"/>'
    '<MiningField name="y" usageType="target"/></MiningSchema>'
    '<RegressionTable intercept="1"><NumericPredictor name="{field}" coefficient="2"/></RegressionTable>'
    "</RegressionModel></PMML>"
)
PLAIN = LINE.format(transformations="", field="a")
TABLE = LINE.format(
    transformations='<TransformationDictionary><DerivedField name="t" optype="continuous" dataType="double">'
    '<MapValues outputColumn="d:to" dataType="double" defaultValue="3"><FieldColumnPair field="a" '
    'column="d:from"/><InlineTable xmlns:d="urn:data"><row><d:from>1</d:from><d:to>5</d:to></row>'
    "</InlineTable></MapValues></DerivedField></TransformationDictionary>",
    field="t",
)
"""A document with names of another namespace in a table."""


def prefixed(text: str, prefix: str = "pmml") -> str:
    """Gives a prefix to every element that has none, and declares the namespace for the prefix."""
    text = re.sub(r"<(/?)(\w+)(?=[\s/>])", rf"<\1{prefix}:\2", text)
    return text.replace("xmlns=", f"xmlns:{prefix}=", 1)


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_every_sample_model_scores_the_same_with_a_prefix(load: Load, path: Path) -> None:
    text = path.read_text("utf-8")
    assert prefixed(text).startswith(("<pmml:PMML xmlns:pmml=", "<?xml"))
    assert text.count("<PMML") == prefixed(text).count("<pmml:PMML") == 1
    plain, other = (load(ModelType.PMML, each.encode(), schema=WINE) for each in (text, prefixed(text)))
    rows = np.random.default_rng(7).uniform(0, 30, (200, len(plain.fields)))
    expected, given = plain.score(rows), other.score(rows)
    assert other.fields == plain.fields
    np.testing.assert_array_equal(given.result, expected.result)
    assert given.labels == expected.labels
    assert list(given.outputs) == list(expected.outputs)
    for name, values in given.outputs.items():
        np.testing.assert_array_equal(values, expected.outputs[name])


def test_the_evaluator_scores_a_document_with_a_prefix_too(load: Load) -> None:
    for text in (TABLE, prefixed(TABLE)):
        model = load(ModelType.PMML, text.encode(), schema=SCHEMA)
        assert model.score(np.array([[1.0], [2.0]])).result.tolist() == [11.0, 7.0]


@pytest.mark.parametrize("namespace", ["", *(f"PMML-{number}" for number in ("2_1", "3_2", "4_0", "4_3"))])
@pytest.mark.parametrize("prefix", ["", "p"])
def test_every_namespace_is_taken(load: Load, namespace: str, prefix: str) -> None:
    declared = f' xmlns="http://www.dmg.org/{namespace}"' if namespace else ""
    text = PLAIN.replace(' xmlns="http://www.dmg.org/PMML-4_4"', declared)
    content = (prefixed(text, prefix) if prefix else text).encode()
    assert load(ModelType.PMML, content, schema=SCHEMA).score(np.array([[3.0]])).result.tolist() == [7.0]


DECLARED = '<?xml version="1.0" encoding="{}"?>'
SPELLINGS = {
    "mark": b"\xef\xbb\xbf" + PLAIN.encode(),
    "mark and declaration": b"\xef\xbb\xbf" + (DECLARED.format("UTF-8") + PLAIN).encode(),
    "UTF-16": (DECLARED.format("UTF-16") + PLAIN).encode("utf-16"),
    "UTF-16, the other order": b"\xfe\xff" + (DECLARED.format("UTF-16") + PLAIN).encode("utf-16-be"),
    "UTF-16 without a mark": (DECLARED.format("UTF-16") + PLAIN).encode("utf-16-le"),
    "UTF-16 with a prefix": (DECLARED.format("UTF-16") + prefixed(PLAIN)).encode("utf-16"),
    "spaces": b"\n \t\r\n" + PLAIN.encode(),
    "spaces and declaration": b"\n\n  " + (DECLARED.format("UTF-8") + PLAIN).encode(),
    "mark, spaces and declaration": b"\xef\xbb\xbf\n " + (DECLARED.format("UTF-8") + PLAIN).encode(),
    "UTF-16, spaces and declaration": ("\n " + DECLARED.format("UTF-16") + PLAIN).encode("utf-16"),
    "comments": (DECLARED.format("UTF-8") + "<!-- by <b>hand</b> --><?x y?>\n<!--2-->" + PLAIN).encode(),
    "comments after": (PLAIN + "\n<!-- end -->\n").encode(),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_encoding_and_beginning_is_taken(load: Load, spelling: str) -> None:
    model = load(ModelType.PMML, SPELLINGS[spelling], schema=SCHEMA)
    assert model.score(np.array([[3.0]])).result.tolist() == [7.0]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_doctype_is_refused_in_every_spelling(mark: str) -> None:
    text = f"{mark}\n<!-- x --><!DOCTYPE p:PMML [<!ENTITY e 'x'>]>{prefixed(PLAIN, 'p')}"
    for content in (text.encode(), text.encode("utf-16-le") if mark else text.encode("utf-16")):
        with pytest.raises(ModelRejected, match=r"^the PMML document has a DOCTYPE, which could pull in"):
            read_xml(content, 1 << 20)


def tags(text: str) -> list[str]:
    """Returns the elements as the evaluator gets them."""
    return re.findall(r"<([\w:]+)", written(read_xml(text.encode(), 1 << 20).root))


def test_only_names_of_the_documents_own_namespace_lose_their_prefix() -> None:
    inner = (
        '<q:Extension xmlns:q="urn:x" xmlns:r="urn:other"><r:Header/><p:X xmlns:p="urn:other"/><p:Y/>'
        "</q:Extension><q:Z/>"
    )
    text = (
        prefixed(PLAIN, "p")
        .replace("http://www.dmg.org/PMML-4_4", "urn:x", 1)
        .replace("<p:Header/>", f"<p:Header>{inner}</p:Header>")
    )
    assert tags(text)[:7] == ["PMML", "Header", "Extension", "r:Header", "p:X", "Y", "q:Z"]
    assert fromstring(PLAIN).tag == "{http://www.dmg.org/PMML-4_4}PMML"


def test_a_prefix_within_an_unprefixed_document() -> None:
    text = PLAIN.replace(
        "<PMML ", '<PMML xmlns:p="http://www.dmg.org/PMML-4_4" xmlns:o="urn:other" ', 1
    ).replace("<Header/>", "<p:Header><o:Header/></p:Header>")
    assert tags(text)[:4] == ["PMML", "Header", "o:Header", "DataDictionary"]


def test_a_prefix_that_nothing_declares() -> None:
    assert tags(PLAIN.replace("<PMML", "<p:PMML").replace("</PMML", "</p:PMML"))[0] == "PMML"
    assert read_xml(b'<h:html xmlns:h="http://www.w3.org/1999/xhtml"/>', 100).root.tag == "html"
