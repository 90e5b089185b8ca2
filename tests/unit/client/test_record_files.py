"""CSV files of records: with and without header, both separators, and errors with the number of the line."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from model_serving.client.errors import ClientError, WrongCall
from model_serving.client.record_files import DEFAULT_RECORD_TYPE, load_record_type, read_records
from model_serving.protos.winerecord_pb2 import WineRecord

WINE = load_record_type(DEFAULT_RECORD_TYPE)
NAMES = (
    "fixed acidity;volatile acidity;citric acid;residual sugar;chlorides;free sulfur dioxide;"
    "total sulfur dioxide;density;pH;sulphates;alcohol"
)
ROW = "7.4;0.7;0;1.9;0.076;11;34;0.9978;3.51;0.56;9.4"
EXPECTED = WineRecord(
    fixed_acidity=7.4,
    volatile_acidity=0.7,
    residual_sugar=1.9,
    chlorides=0.076,
    free_sulfur_dioxide=11,
    total_sulfur_dioxide=34,
    density=0.9978,
    pH=3.51,
    sulphates=0.56,
    alcohol=9.4,
    dataType="wine",
)


def backwards(line: str) -> str:
    return ";".join(reversed(line.split(";")))


def read(tmp_path: Path, text: str) -> list[WineRecord]:
    file = tmp_path / "records.csv"
    file.write_text(text, encoding="utf-8")
    return [WineRecord.FromString(record) for record in read_records(file, WINE, "wine")]


@pytest.mark.parametrize(
    "text",
    [
        f"{ROW}\n",
        f"{ROW};5\n",
        ROW.replace(";", ",") + ",5\r\n",
        f"{NAMES};quality\n{ROW};5\n",
        f"\ufeff{NAMES};quality\n\n{ROW};5\n\n",
        ";".join(f'"{name}"' for name in NAMES.split(";")) + f"\n{ROW}\n",
        NAMES.replace(" ", "_").upper().replace(";", ", ") + "\n" + ROW.replace(";", ", ") + "\n",
        f"quality;{backwards(NAMES.replace(' ', '.'))}\n5;{backwards(ROW)}\n",
    ],
)
def test_every_spelling_of_a_file_gives_the_same_record(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == [EXPECTED]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{ROW}\n{ROW};5\n", "line 2: 12 columns, but the lines before it have 11"),
        (f"{ROW}\n\n{ROW.replace('9.4', 'x')}\n", "line 3, column 11: 'x' is not a number for 'alcohol'"),
        (f"{ROW.replace('0.7', 'nan')}\n", "line 1, column 2: 'nan' is not a number for 'volatile_acidity'"),
        (f"{ROW.replace('0.7', '')}\n", "line 1, column 2: '' is not a number for 'volatile_acidity'"),
        ("1;2;3\n", "line 1: 3 columns and no header, but a record has 11 fields"),
        (f"{NAMES.replace(';alcohol', '')};quality\n{ROW}\n", "line 1: the header has no column 'alcohol'"),
        ("", "has no records"),
        (f"{NAMES}\n", "has no records"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ClientError) as refused:
        read(tmp_path, text)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="cannot be read"):
        read_records(tmp_path / "absent.csv", WINE, "wine")


def test_a_pipe_is_read_like_a_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(f"\n{NAMES}\n{ROW}\n",))
    writer.start()
    assert [WineRecord.FromString(record) for record in read_records(pipe, WINE, "wine")] == [EXPECTED]
    writer.join()


def test_the_time_is_added_to_the_bytes_of_a_record() -> None:
    stamped = EXPECTED.SerializeToString() + WINE.stamp(1_795_449_875_084)
    expected = WineRecord()
    expected.CopyFrom(EXPECTED)
    expected.ts = 1_795_449_875_084
    assert stamped == expected.SerializeToString()


@pytest.mark.parametrize(
    "name",
    [
        "absent:Message",
        "model_serving.protos.winerecord_pb2:Absent",
        "model_serving.protos.winerecord_pb2",
        ":",
    ],
)
def test_a_record_type_that_does_not_exist_is_a_wrong_call(name: str) -> None:
    with pytest.raises(WrongCall, match="--record-type"):
        load_record_type(name)
