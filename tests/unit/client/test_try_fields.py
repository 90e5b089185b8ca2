"""The fields of records that have no record type, told from what a model takes and from a file's columns."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from model_serving.client.errors import ClientError, WrongCall
from model_serving.client.trying.fields import Field, told_fields
from model_serving.client.trying.table import Table, read_table
from model_serving.core.messages import ModelType
from model_serving.engines.model_inputs import ModelInput

MATRIX = (ModelInput("features", is_text=False, width=2),)
BY_NAME = (ModelInput("age", is_text=False), ModelInput("city", is_text=True))
MIXED = (ModelInput("numbers", is_text=False, width=2), ModelInput("texts", is_text=True, width=1))
UNKNOWN = (ModelInput("x", is_text=False, width=None),)


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return written(tmp_path, "age,height,city,zip\n1,2,Rome,00184\n,3,,00185\n")


def written(folder: Path, text: str) -> Table:
    path = folder / "rows.csv"
    path.write_text(text, encoding="utf-8")
    return read_table(path)


def told(
    inputs: tuple[ModelInput, ...], table: Table | None, *given: str, kind: ModelType = ModelType.ONNX
) -> list[tuple[str, str]]:
    return [(one.name, one.type) for one in told_fields(kind, inputs, given, table).fields]


def test_columns_of_numbers_are_numbers_and_the_others_text(table: Table) -> None:
    every = [("age", "double"), ("height", "double"), ("city", "string"), ("zip", "double")]
    assert told((), table) == every
    assert told(UNKNOWN, table) == every


def test_a_column_of_numbers_with_a_few_other_cells_is_still_one_of_numbers(tmp_path: Path) -> None:
    found = told((), written(tmp_path, "a,b,c\n1,x,\n2,1,\nNA,y,\n"))
    assert found == [("a", "double"), ("b", "string"), ("c", "double")]


def test_a_column_has_the_type_of_the_input_with_its_name(table: Table) -> None:
    inputs = (ModelInput("ZIP", is_text=True), ModelInput("height", is_text=False))
    assert told(inputs, table)[1:] == [("height", "double"), ("city", "string"), ("zip", "string")]


def test_pmml_takes_its_own_fields_only_and_each_must_be_there(table: Table) -> None:
    assert told(BY_NAME, table, kind=ModelType.PMML) == [("age", "double"), ("city", "string")]
    assert told(BY_NAME, table, "zip", "city", kind=ModelType.PMML) == [("zip", "double"), ("city", "string")]
    with pytest.raises(ClientError, match=r"has no column 'sex' \(it has age, height, city, zip\)"):
        told((ModelInput("sex", is_text=True),), table, kind=ModelType.PMML)


def test_inputs_are_dealt_out_by_widths(table: Table) -> None:
    fields = dict(told(MIXED, table, "age", "height", "zip"))
    assert (fields["age"], fields["height"], fields["zip"]) == ("double", "double", "string")
    assert told(MATRIX, table, "age", "age")[0] == ("age", "double")
    with pytest.raises(ClientError, match="has no column 'sex'"):
        told(MATRIX, table, "age", "sex")


@pytest.mark.parametrize(
    ("header", "label"),
    [("a,b,c", "c"), ("label,a,b", "label"), ("a,Quality,b", "Quality"), ("id,class,a", "class")],
)
def test_one_number_too_many_is_the_label(tmp_path: Path, header: str, label: str) -> None:
    found = told_fields(ModelType.ONNX, MATRIX, (), written(tmp_path, f"{header}\n1,2,3\n"))
    assert found.label == label
    assert label not in [field.name for field in found.fields]
    assert f"the column '{label}' is taken for the label" in found.note


@pytest.mark.parametrize("header", ["a,b", "a,b,c,d", "a,b,ts", "dataType,a,b"])
def test_otherwise_no_column_is_the_label(tmp_path: Path, header: str) -> None:
    row = ",".join("1" for _ in header.split(","))
    found = told_fields(ModelType.ONNX, MATRIX, (), written(tmp_path, f"{header}\n{row}\n"))
    assert (found.label, found.note) == ("", "")
    assert {field.name for field in found.fields} == set(header.split(",")) - {"ts", "dataType"}


def test_without_a_file_the_model_names_its_fields() -> None:
    assert told(BY_NAME, None) == [("age", "double"), ("city", "string")]
    assert told(MIXED, None) == [("numbers_1", "double"), ("numbers_2", "double"), ("texts", "string")]
    assert told_fields(ModelType.ONNX, BY_NAME, (), None).note == ""
    assert (
        "does not name its fields in features (2 fields)"
        in told_fields(ModelType.ONNX, MATRIX, (), None).note
    )
    assert told(MATRIX, None, "a", "b") == [("a", "double"), ("b", "double")]
    assert told(UNKNOWN, None, "a") == [("a", "double")]
    with pytest.raises(WrongCall, match="give a CSV file with its records, or --fields"):
        told(UNKNOWN, None)


def test_a_header_may_count_and_may_have_a_column_without_a_name(tmp_path: Path) -> None:
    assert written(tmp_path, ",0,1\n0,5,6\n").columns == ("0", "1")
    twice = written(tmp_path, "a;b;a\n1;2;3\n")
    assert (twice.columns, twice.cells("a"), twice.left_out) == (("a", "b"), ["1"], ("'a' (again)",))
    assert written(tmp_path, ",a,\n0,5,6\n").left_out == ("a column without a name",)
    with pytest.raises(ClientError, match="has no header"):
        written(tmp_path, "1,0\n0,1\n")


@pytest.mark.parametrize(
    ("kind", "cell", "number"),
    [
        ("double", " 1e3 ", 1000.0),
        ("bool", "TRUE", 1.0),
        ("int64", "5.0", 5.0),
        ("float", "0.1", 0.10000000149011612),
    ],
)
def test_a_cell_is_read_as_the_field_holds_it(kind: str, cell: str, number: float) -> None:
    assert Field("a", kind).number(cell) == number
    assert math.isnan(Field("a", kind).number("  "))


@pytest.mark.parametrize(
    ("kind", "cell"), [("double", "nan"), ("double", "1_0"), ("int32", "0.5"), ("bool", "yes")]
)
def test_a_cell_that_the_field_cannot_hold_is_refused(kind: str, cell: str) -> None:
    with pytest.raises(ValueError, match=f"^'{cell}' is not a "):
        Field("a", kind).number(cell)
