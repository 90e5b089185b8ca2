"""``model-serving try``: what a data scientist types, and what comes out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_serving.client import cli
from model_serving.client.samples import sample_models, sample_records
from model_serving.testing.model_server import FakeModelServer, ServedModel
from model_serving.testing.served_model import TensorSpec
from tests.job_models import regression_pmml
from tests.unit.engines.onnx_builders import of_categories

DOSE = regression_pmml(1.0, {"age": 0.5, "body weight": 2.0}, categories={("colour", "red"): 10.0})
RISK = (
    b'<PMML version="4.4" xmlns="http://www.dmg.org/PMML-4_4"><Header/><DataDictionary>'
    b'<DataField name="x" optype="continuous" dataType="double"/>'
    b'<DataField name="y" optype="categorical" dataType="string"><Value value="no"/><Value value="yes"/>'
    b'</DataField></DataDictionary><RegressionModel functionName="classification" '
    b'normalizationMethod="softmax"><MiningSchema><MiningField name="x"/>'
    b'<MiningField name="y" usageType="target"/></MiningSchema><Output>'
    b'<OutputField name="risk" feature="probability" value="yes" optype="continuous" dataType="double"/>'
    b'</Output><RegressionTable intercept="0" targetCategory="no"/>'
    b'<RegressionTable intercept="0" targetCategory="yes"><NumericPredictor name="x" coefficient="1"/>'
    b"</RegressionTable></RegressionModel></PMML>"
)
NEXT = (
    b'<PMML version="4.4" xmlns="http://www.dmg.org/PMML-4_4"><Header/><DataDictionary>'
    b'<DataField name="v" optype="continuous" dataType="double"/></DataDictionary>'
    b'<TimeSeriesModel functionName="timeSeries" bestFit="ExponentialSmoothing"><MiningSchema>'
    b'<MiningField name="v" usageType="target"/></MiningSchema><ExponentialSmoothing>'
    b'<Level smoothedValue="40"/><Trend_ExpoSmooth smoothedValue="2"/></ExponentialSmoothing>'
    b"</TimeSeriesModel></PMML>"
)
SAMPLES = {model.name: model for model in sample_models()}
ONNX = next(model for model in SAMPLES.values() if model.path.suffix == ".onnx")


@pytest.fixture(autouse=True)
def _own_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    # The command installs handlers for good; pytest keeps its own.
    monkeypatch.setattr("signal.signal", lambda *_: None)


class Desk:
    """Files of a test, and the command run with them."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._folder = folder
        self._capsys = capsys

    def file(self, name: str, content: str | bytes) -> str:
        path = self._folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Returns the exit status, standard output and standard error."""
        try:
            status = cli.main(["try", *arguments])
        except SystemExit as exited:
            status = int(str(exited.code or 0))
        return status, *self._capsys.readouterr()

    def rows(self, *arguments: str) -> list[dict[str, Any]]:
        """Returns the JSON objects that are printed."""
        status, out, err = self.run(*arguments, "--json")
        assert status == 0, err
        return [json.loads(line) for line in out.splitlines()]

    def refusal(self, *arguments: str, status: int = 1) -> str:
        """Returns the one line of an error; nothing else is printed."""
        got, out, err = self.run(*arguments)
        assert (got, out, err.count("\n")) == (status, "", 1), err
        return err.removeprefix("model-serving try: ").rstrip("\n")


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(tmp_path, capsys)


def test_a_model_that_takes_no_field_gives_each_row_the_same(desk: Desk) -> None:
    rows = desk.rows(desk.file("next.pmml", NEXT), desk.file("rows.csv", "x\n1\n2\n"))
    assert [row["result"] for row in rows] == [42.0, 42.0]


def test_each_row_has_the_result_that_the_models_formula_gives(desk: Desk) -> None:
    rows = desk.rows(
        desk.file("dose.pmml", DOSE),
        desk.file(
            "rows.csv", "Body-Weight;colour;age;label\n70;red;10;1\n70,5;blue;10;0\n".replace(",", ".")
        ),
    )
    assert rows == [
        {"result": 156.0, "label": None, "outputs": {}, "error": None},
        {"result": 147.0, "label": None, "outputs": {}, "error": None},
    ]


def test_a_classifier_gives_label_and_outputs(desk: Desk) -> None:
    (row,) = desk.rows(desk.file("risk.pmml", RISK), desk.file("rows.csv", "x\n0.5\n"))
    assert (row["result"], row["label"], row["error"]) == (1.0, "yes", None)
    assert row["outputs"]["risk"] == pytest.approx(0.6224593312018546)


def test_a_record_that_lacks_a_value_is_refused_unless_the_job_would_pass_it_on(desk: Desk) -> None:
    model, csv = desk.file("dose.pmml", DOSE), desk.file("r.csv", "age,body weight,colour\n,70,red\n1,70,\n")
    first, second = desk.rows(model, csv)
    assert first["result"] is None
    assert first["error"].startswith(
        "its field age has no finite value (nan): send one, or start the job with"
    )
    assert second["result"] == 141.5
    first, second = desk.rows(model, csv, "--missing", "pass")
    assert first["error"].startswith("the model gives no result for this record")
    assert second["result"] == 141.5


def test_a_line_of_empty_cells_is_a_record_and_an_empty_line_is_none(desk: Desk) -> None:
    csv = desk.file("r.csv", "id,age,body weight,colour\n\n,,,\nx,1,70,red\n")
    first, second = desk.rows(desk.file("dose.pmml", DOSE), csv, "--missing", "pass")
    assert first["error"] == "the record has none of its fields set"
    assert second["result"] == 151.5


def test_people_read_what_the_model_is_and_a_line_a_record(desk: Desk) -> None:
    status, out, err = desk.run(
        desk.file("risk.pmml", RISK), desk.file("rows.csv", "id,x,y\n7,0.5,yes\n8,,no\n9,-800,no\n")
    )
    about, _, rows = out.partition("\n\n")
    facts = dict(line.split(maxsplit=1) for line in about.splitlines())
    assert status == 0
    assert facts["kind"] == "PMML RegressionModel (classification)"
    assert facts["inputs"] == "x  continuous double"
    assert facts["classes"] == "no, yes"
    assert facts["result"] == "the index of the label among the classes"
    assert " µs a record in batches, " in facts["scoring"]
    titles, first, second, third = [line.split(maxsplit=3) for line in rows.splitlines()]
    assert titles[:3] == ["row", "result", "label"]
    assert first[:3] == ["1", "1", "yes"]
    assert (second[0], second[1]) == ("2", "error:")
    assert third[:3] == ["3", "0", "no"]
    assert err.endswith("rows.csv: left out, because the model does not take it: 'id', 'y'\n")


def test_without_records_only_the_description_is_printed(desk: Desk) -> None:
    model = desk.file("dose.pmml", DOSE)
    status, out, err = desk.run(model)
    assert (status, err) == (0, "")
    assert "body weight  continuous double" in out
    assert "\n\n" not in out
    (about,) = desk.rows(model)
    assert about["fields"] == ["age", "body weight", "colour"]
    assert about["load_ms"] > 0


def test_the_output_of_the_result_can_be_chosen(desk: Desk) -> None:
    model, csv = desk.file("risk.pmml", RISK), desk.file("rows.csv", "x\n0.5\n")
    (row,) = desk.rows(model, csv, "--result-output", "risk")
    assert row["result"] == pytest.approx(0.6224593312018546)
    said = desk.refusal(model, csv, "--result-output", "dose")
    assert said.startswith(f"a job would reject {model}: ")
    assert "risk" in said


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        (b"\x80\x04\x95junk", (), "a pickle can run any code and is never loaded"),
        (b"<PMML version='4.4'/>", (), "a job would reject "),
        (DOSE, ("--pmml-size-limit", "100"), "100"),
        (DOSE, ("--fields", "age,colour:string"), "the model needs the field 'body weight'"),
        (DOSE, ("--fields", "age,body_weight:string,colour:string"), "body_weight"),
    ],
)
def test_what_a_job_rejects_is_one_line_and_status_1(
    desk: Desk, content: bytes, options: tuple[str, ...], said: str
) -> None:
    assert said in desk.refusal(desk.file("model.bin", content), *options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--signature-name", "predict"), "--signature-name is for SavedModels"),
        (
            ("--fields", "a:decimal"),
            "'a:decimal' is not name:type with one of the types double, float, int32",
        ),
        (("--fields", "a,a:string"), "'a' is there twice"),
        (("--missing", "maybe"), "--missing: 'maybe' is not one of: reject, pass"),
        (("--record-type", "absent:Record"), "--record-type: "),
        (("--model-type", "pickle"), "--model-type: 'pickle' is not one of"),
    ],
)
def test_a_wrong_call_is_one_line_and_status_2(desk: Desk, options: tuple[str, ...], said: str) -> None:
    assert said in desk.refusal(desk.file("dose.pmml", DOSE), *options, status=2)


@pytest.mark.parametrize(
    ("csv", "options", "said"),
    [
        ("age,colour\n1,red\n", (), "has no column 'body weight' (it has age, colour): add it"),
        ("age,body weight,colour\n1,7,red\nNA,7,red\n", (), "line 3: 'NA' is not a number for 'age'; leave"),
        (",,\n1,70,red\n", (), "has no header"),
        ("age,body weight,colour\n1,7\n", (), "line 2: 2 columns, but the lines before it have 3"),
        ("1,70,red\n2,80,red\n", (), "has no header: its first line must name the columns"),
        ("age,body weight,colour\n", (), "has no records"),
        ("", (), "has no records"),
        ("age,body weight\n1,7\n", ("--fields", "age:int32,colour:string"), "has no column 'colour'"),
        (
            "age,body weight,colour\n1.5,7,red\n",
            ("--fields", "age:int32,body weight,colour:string"),
            "line 2: '1.5' is not a whole number for 'age'",
        ),
    ],
)
def test_a_file_that_is_no_table_of_records_is_one_line(
    desk: Desk, csv: str, options: tuple[str, ...], said: str
) -> None:
    assert said in desk.refusal(desk.file("dose.pmml", DOSE), desk.file("rows.csv", csv), *options)


def test_what_is_in_columns_that_the_model_does_not_take_does_not_matter(desk: Desk) -> None:
    csv = desk.file("r.csv", "ticket,age,body weight,colour\n12,1,70,blue\n13,1,70,blue\nA 7,1,70,blue\n")
    rows = desk.rows(desk.file("dose.pmml", DOSE), csv)
    assert [row["result"] for row in rows] == [141.5] * 3


def test_the_record_type_of_the_job_can_be_used(desk: Desk) -> None:
    model = desk.file("one.pmml", regression_pmml(1.0, {"alcohol": 1.0}))
    wine = "model_serving.protos.winerecord_pb2:WineRecord"
    rows = desk.rows(model, str(sample_records()), "--record-type", wine)
    assert [row["result"] for row in rows[:2]] == [10.2, 11.3]
    short = desk.file("short.csv", "pH,alcohol\n3,10\n")
    assert "the header has no column 'fixed_acidity'" in desk.refusal(model, short, "--record-type", wine)
    dose = desk.file("dose.pmml", DOSE)
    assert "which WineRecord does not have" in desk.refusal(dose, "--record-type", wine)


def test_a_category_that_the_model_does_not_know_costs_its_record_only(desk: Desk) -> None:
    model = desk.file("model.onnx", of_categories(level=("low", "high"), city=("Bern", "Ulm")))
    rows = desk.rows(model, desk.file("rows.csv", "level;city\nlow;Bern\nlow;Oslo\nhigh;Bern\n"))
    assert [row["result"] for row in rows] == [11.0, None, 10.0]
    assert "a category that the model does not know" in rows[1]["error"]
    assert "µs a record in batches" in desk.run(model)[1]


def test_a_matrix_takes_the_numeric_columns_and_the_label_is_said(desk: Desk) -> None:
    status, out, err = desk.run(str(ONNX.path), str(sample_records()), "--json")
    results = [json.loads(line)["result"] for line in out.splitlines()]
    assert status == 0
    assert results[: len(ONNX.expected)] == pytest.approx(list(ONNX.expected), abs=ONNX.tolerance)
    assert "the column 'quality' is taken for the label, because the model takes 11 numbers" in err
    assert err.count("\n") == 1
    assert "'nothing'" in desk.refusal(str(ONNX.path), "--result-output", "nothing")
    narrow = desk.file("narrow.csv", "a,b\n1,2\n")
    assert "takes 11 fields, narrow.csv has 2 (a, b)" in desk.refusal(str(ONNX.path), narrow)


NOISE = """
import os
from model_serving.client.trying.quiet import only_python_prints

print("before")
with only_python_prints():
    os.write(1, b"noise")
    os.write(2, b"noise")
    print("inside é")
os.write(1, b"after")
"""


def test_what_native_libraries_print_is_dropped_and_python_goes_on_printing() -> None:
    command = [sys.executable, "-X", "utf8", "-c", NOISE]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60, check=True)
    # The order of the last two is that of Python's buffers.
    assert sorted(done.stdout.replace("after", "after\n").split()) == ["after", "before", "inside", "é"]
    assert done.stderr == ""


def test_the_program_prints_json_and_nothing_else(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "model_serving.client.cli", "try", str(ONNX.path), str(sample_records())]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {tuple(row) for row in rows} == {("result", "label", "outputs", "error")}
    assert len(rows) == len(sample_records().read_text("utf-8").splitlines()) - 1
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(ONNX.path.read_bytes()[:-3])
    command[4] = str(broken)
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)


def test_a_served_model_is_tried_by_its_url(desk: Desk) -> None:
    double = np.dtype(np.float64)
    served = ServedModel(
        "dose",
        {"age": TensorSpec(double, (-1, 1)), "weight": TensorSpec(double, (-1, 1))},
        {"dose": TensorSpec(double, (-1, 1))},
        lambda tensors: {"dose": tensors["age"] * 0.5 + tensors["weight"]},
    )
    records = desk.file("people.csv", "age,weight,name\n10,3,a\n20,4,b\n")
    with FakeModelServer(served) as server:
        for url in (server.tfserving("dose"), f"{server.openinference('dose')}/versions/1"):
            assert [row["result"] for row in desk.rows(url, records)] == [8.0, 14.0]
        status, out, _ = desk.run(server.tfserving("dose"))
        assert status == 0
        assert "served by TensorFlow Serving" in out
        assert desk.run(server.tfserving("nope"), records)[0] == 1
    status, _, said = desk.run(server.tfserving("dose"), records, "--remote-timeout-ms", "200")
    assert status == 1
    assert "is out of reach (it refuses the connection): start it, or correct the location" in said
