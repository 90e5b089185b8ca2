"""The field of each column: by header, by --columns, or by order; a shift by one is never guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_serving.client.errors import ClientError, WrongCall
from model_serving.client.record_files import (
    DEFAULT_RECORD_TYPE,
    RecordFile,
    load_record_type,
    read_record_file,
)
from model_serving.protos.winerecord_pb2 import WineRecord

WINE = load_record_type(DEFAULT_RECORD_TYPE)
FIELDS = [field.name for field in WINE.fields]
NAMES = ",".join(FIELDS)
ROWS = (
    "7.4,0.7,0,1.9,0.076,11,34,0.9978,3.51,0.56,9.4",
    "7,0.6,0,2.9,0.076,12,35,0.9968,3.41,0.55,10",
    "7,0.5,0,3.9,0.076,13,36,0.9958,3.31,0.54,11",
)


def read(tmp_path: Path, lines: list[str], columns: str | None = None) -> RecordFile:
    file = tmp_path / "records.csv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_record_file(file, WINE, "wine", columns.split(",") if columns else None)


def alcohol(found: RecordFile) -> list[float]:
    return [WineRecord.FromString(record.payload).alcohol for record in found.records]


def refused(tmp_path: Path, lines: list[str], columns: str | None = None) -> str:
    with pytest.raises(ClientError) as caught:
        read(tmp_path, lines, columns)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["dataType", "datatype", "data_type", "Data Type"])
def test_the_data_type_of_a_row_is_its_own(tmp_path: Path, name: str) -> None:
    found = read(tmp_path, [f"{NAMES},{name}", f"{ROWS[0]},beer", f"{ROWS[1]},", f"{ROWS[2]}, wine "])
    types = [WineRecord.FromString(record.payload).dataType for record in found.records]
    assert types == ["beer", "wine", "wine"]
    assert found.assumed == (
        (f"{tmp_path / 'records.csv'}: records have the data type in their column, or 'wine' if it is empty"),
    )


def test_the_time_of_a_row_is_its_own(tmp_path: Path) -> None:
    found = read(
        tmp_path, [f"ts,{NAMES}", f"1795449875084,{ROWS[0]}", f",{ROWS[1]}", f"1795449875084.0,{ROWS[2]}"]
    )
    assert [record.has_time for record in found.records] == [True, False, True]
    times = [WineRecord.FromString(record.payload).ts for record in found.records]
    assert times == [1795449875084, 0, 1795449875084]
    assert "records have the time in their column" in found.assumed[0]
    assert "line 2, column 1: '2026-11-28' is not a number for 'ts'" in refused(
        tmp_path, [f"ts,{NAMES}", f"2026-11-28,{ROWS[0]}"]
    )


def test_what_a_header_names_and_no_field_is_left_out_and_said(tmp_path: Path) -> None:
    found = read(tmp_path, [f"id,{NAMES},quality", *(f"{number},{row},5" for number, row in enumerate(ROWS))])
    assert alcohol(found) == [9.4, 10, 11]
    assert found.assumed == (
        f"{tmp_path / 'records.csv'}: left out, because WineRecord has no such field: 'id', 'quality'",
    )


@pytest.mark.parametrize("label", ["5", "6.0", "good", ""])
def test_without_a_header_a_plain_label_at_the_end_is_left_out_and_said(tmp_path: Path, label: str) -> None:
    found = read(tmp_path, [f"{row},{label}" for row in ROWS])
    assert alcohol(found) == [9.4, 10, 11]
    assert found.assumed == (
        (
            f"{tmp_path / 'records.csv'}: it has no header: its columns are taken as {', '.join(FIELDS)}; "
            "the last one is left out, as a label"
        ),
    )
    assert read(tmp_path, [*ROWS]).assumed[0].endswith(f"its columns are taken as {', '.join(FIELDS)}")


@pytest.mark.parametrize(
    "rows",
    [
        [f"{number},{row}" for number, row in enumerate(ROWS, start=1)],
        # The last column is whole, too: the running number in front gives it away.
        [f"{number},{row}" for number, row in enumerate(ROWS[1:], start=1)],
        [f"{1000 - number},{row}" for number, row in enumerate(ROWS[1:])],
        [f"1,{ROWS[1]}"],
        [f"{row},0.5" for row in ROWS],
    ],
)
def test_without_a_header_one_column_too_many_is_refused_unless_it_plainly_is_a_label(
    tmp_path: Path, rows: list[str]
) -> None:
    text = refused(tmp_path, rows)
    assert "line 1: 12 columns and no header, one more than the fields of a record" in text
    assert "with --columns, - for the column to leave out" in text
    if rows[0].startswith("1"):
        assert alcohol(read(tmp_path, rows, f"-,{NAMES}")) == [float(row.split(",")[-1]) for row in rows]


def test_columns_can_be_named_in_any_order(tmp_path: Path) -> None:
    rows = [f"beer,{','.join(reversed(row.split(',')))},x" for row in ROWS]
    columns = f"dataType,{','.join(reversed(FIELDS))},-"
    found = read(tmp_path, rows, columns)
    assert alcohol(found) == [9.4, 10, 11]
    assert {WineRecord.FromString(record.payload).dataType for record in found.records} == {"beer"}
    # A header in the file is not a record, whether its names are known or not.
    for header in ("t,k,j,i,h,g,f,e,d,c,b,a,x", f"t,{NAMES},x"):
        assert read(tmp_path, [header, *rows], columns).records == found.records


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        (NAMES.replace("pH", "acid"), "--columns: WineRecord has no field 'acid' (it has fixed_acidity, "),
        (NAMES.replace("pH", "density"), "--columns: 'density' is there twice"),
        (NAMES.replace("pH", "-"), "--columns: the field 'pH' is missing"),
    ],
)
def test_columns_that_do_not_exist_are_a_wrong_call(tmp_path: Path, columns: str, text: str) -> None:
    with pytest.raises(WrongCall) as caught:
        read(tmp_path, [*ROWS], columns)
    assert str(caught.value).startswith(text)


def test_columns_that_do_not_fit_the_file_are_refused(tmp_path: Path) -> None:
    assert "line 1: 11 columns, but --columns names 12" in refused(tmp_path, [*ROWS], f"-,{NAMES}")


def test_a_header_in_other_words_is_not_taken_for_a_record(tmp_path: Path) -> None:
    assert "line 1: it has no number and no name of a field of WineRecord" in refused(
        tmp_path, ["a,b,c,d,e,f,g,h,i,j,k", *ROWS]
    )
