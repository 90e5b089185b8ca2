"""A document's own ModelVerification is scored when it is loaded, and must agree."""

from __future__ import annotations

import pytest

from model_serving.core.errors import ModelRejected
from tests.pmml_cases import load_document

FIELD = "<VerificationField {}/>"


def document(fields: str, rows: str) -> bytes:
    """Returns y = 2 x + (3 if c is red), with an output that is ten times y."""
    return (
        '<PMML xmlns="http://www.dmg.org/PMML-4_4" version="4.4"><Header/><DataDictionary>'
        '<DataField name="x" optype="continuous" dataType="double"/>'
        '<DataField name="c" optype="categorical" dataType="string"><Value value="red"/><Value value="blue"/>'
        '</DataField><DataField name="y" optype="continuous" dataType="double"/></DataDictionary>'
        '<RegressionModel functionName="regression"><MiningSchema><MiningField name="x"/>'
        '<MiningField name="c"/><MiningField name="y" usageType="target"/></MiningSchema>'
        '<Output><OutputField name="again" feature="predictedValue" optype="continuous" dataType="double"/>'
        '</Output><ModelVerification recordCount="2" fieldCount="3">'
        f"<VerificationFields>{fields}</VerificationFields>"
        f'<InlineTable xmlns:data="http://jpmml.org/data">{rows}</InlineTable></ModelVerification>'
        '<RegressionTable intercept="0"><NumericPredictor name="x" coefficient="2"/>'
        '<CategoricalPredictor name="c" value="red" coefficient="3"/></RegressionTable>'
        "</RegressionModel></PMML>"
    ).encode()


INPUTS = FIELD.format('field="x" column="data:x"') + FIELD.format('field="c"')
TARGET = FIELD.format('field="y" precision="1E-13" zeroThreshold="1E-13"')
OUTPUT = FIELD.format('field="again"')


@pytest.mark.parametrize(
    ("fields", "rows"),
    [
        (INPUTS + TARGET, "<row><data:x>2</data:x><c>red</c><y>7</y></row>"),
        (INPUTS + TARGET, "<row><data:x>2</data:x><c>red</c><y>7.0000000000001</y></row>"),
        (INPUTS + TARGET, "<row><data:x>1e-20</data:x><c>blue</c><y>0</y></row>"),
        (INPUTS + OUTPUT, "<row><data:x>2</data:x><c>blue</c><again>4.000001</again></row>"),
        (INPUTS + OUTPUT, "<row><data:x>2</data:x><c>blue</c></row>"),
        (INPUTS + TARGET, "<row><data:x>2</data:x><y>4</y></row>"),
        (INPUTS + FIELD.format('field="elsewhere"'), "<row><elsewhere>99</elsewhere></row>"),
        (INPUTS + TARGET, ""),
    ],
    ids=[
        "equal",
        "rounded",
        "near zero",
        "standard precision",
        "an empty cell",
        "a missing input",
        "a field that is no output",
        "no rows",
    ],
)
def test_a_model_that_agrees_with_its_records_is_loaded(fields: str, rows: str) -> None:
    assert load_document(document(fields, rows)).fields == ("x", "c")


@pytest.mark.parametrize(
    ("fields", "row", "field", "wanted", "found"),
    [
        (INPUTS + TARGET, "<data:x>2</data:x><c>red</c><y>8</y>", "y", "8", "'7.0'"),
        (INPUTS + TARGET, "<data:x>2</data:x><c>red</c><y>7.00001</y>", "y", "7.00001", "'7.0'"),
        (INPUTS + OUTPUT, "<data:x>2</data:x><c>blue</c><again>0</again>", "again", "0", "'4.0'"),
        (INPUTS + TARGET, "<data:x>2</data:x><c>green</c><y>4</y>", "y", "4", "nothing"),
        (INPUTS + TARGET, "<c>red</c><y>4</y>", "y", "4", "nothing"),
    ],
    ids=["target", "precision of the field", "output", "invalid input", "missing input"],
)
def test_a_model_that_does_not_is_rejected(
    fields: str, row: str, field: str, wanted: str, found: str
) -> None:
    right = "<row><data:x>2</data:x><c>red</c><y>7</y><again>7</again></row>"
    with pytest.raises(ModelRejected) as caught:
        load_document(document(fields, f"{right}<row>{row}</row>"))
    assert str(caught.value) == (
        f"row 2 of the document's own ModelVerification expects '{wanted}' for the field '{field}', but the "
        f"model gives {found}: export the model again, or publish it without its ModelVerification"
    )
