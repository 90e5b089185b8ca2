"""The messages of the publish commands, without a Kafka: a stand-in for the sender keeps them."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_serving.client import cli
from model_serving.core.admission.signing import check_signature, read_keys
from model_serving.core.messages import ModelType
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.winerecord_pb2 import WineRecord

PMML = b"<PMML version='4.3'/>"
NAMES = (
    "fixed_acidity,volatile_acidity,citric_acid,residual_sugar,chlorides,free_sulfur_dioxide,"
    "total_sulfur_dioxide,density,pH,sulphates,alcohol"
)
ROW = "7.4,0.7,0,1.9,0.076,11,34,0.9978,3.51,0.56,9.4"


@pytest.fixture
def pmml(tmp_path: Path) -> Path:
    file = tmp_path / "tree.pmml"
    file.write_bytes(PMML)
    return file


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    folder = tmp_path / "my vintage" / "3"
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"\x08\x01\x12\x00")
    return folder


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str]:
    try:
        status = cli.main([str(argument) for argument in arguments])
    except SystemExit as exited:
        status = int(exited.code or 0)
    error = capsys.readouterr().err
    return status, error


def test_everything_that_a_message_can_say_is_said(
    capsys: pytest.CaptureFixture[str], sent: list[bytes], saved: Path, tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    keys.write_text("5e" * 32)
    details = (
        *("--inputs", "pH, alcohol,pH", "--output", "argmax", "--result-output", "scores"),
        *("--signature-name", "predict", "--version", "2026-11", "--description", "of the cellar"),
    )
    status = run(capsys, "publish-models", saved, "--once", *details, "--model-key-file", keys)
    assert status == (0, "")
    (payload,) = sent
    check_signature(payload, read_keys(str(keys)))
    message = ModelDescriptor.FromString(payload)
    assert (message.modeltype, message.name) == (ModelDescriptor.TENSORFLOWSAVED, "my vintage")
    assert list(message.inputs) == ["pH", "alcohol", "pH"]
    assert message.output == ModelDescriptor.ARGMAX
    assert (message.result_output, message.signature_name) == ("scores", "predict")
    assert (message.version, message.description) == ("2026-11", "of the cellar")


def test_what_is_not_said_is_left_out(
    capsys: pytest.CaptureFixture[str], sent: list[bytes], pmml: Path
) -> None:
    assert run(capsys, "publish-models", pmml, "--once", "--data-type", "beer") == (0, "")
    message = ModelDescriptor.FromString(sent[0])
    assert [field.name for field, _ in message.ListFields()] == [
        *("name", "description", "dataType", "modeltype", "data", "sha256")
    ]
    assert (message.dataType, message.modeltype) == ("beer", ModelDescriptor.PMML)


def test_a_type_can_be_said_of_content_that_cannot_be_told(
    capsys: pytest.CaptureFixture[str], sent: list[bytes], tmp_path: Path
) -> None:
    file = tmp_path / "model.bin"
    file.write_bytes(b"\xff\xfa new in ONNX")
    assert run(capsys, "publish-models", file, "--once", "--model-type", "onnx") == (0, "")
    assert ModelDescriptor.FromString(sent[0]).modeltype == ModelDescriptor.ONNX


def test_a_model_at_a_url_is_sent_or_where_it_is(
    capsys: pytest.CaptureFixture[str], sent: list[bytes], pmml: Path, saved: Path
) -> None:
    for place in (pmml, saved):
        assert run(capsys, "publish-models", place.as_uri(), "--once") == (0, "")
        assert run(capsys, "publish-models", place.as_uri(), "--once", "--by-location") == (0, "")
    of_pmml, at_pmml, of_saved, at_saved = map(ModelDescriptor.FromString, sent)
    assert (of_pmml.name, of_pmml.data) == ("tree", PMML)
    assert (at_pmml.name, at_pmml.location, at_pmml.sha256) == ("tree", pmml.as_uri(), of_pmml.sha256)
    assert (of_saved.name, of_saved.modeltype) == ("my vintage", ModelDescriptor.TENSORFLOWSAVED)
    assert (at_saved.location, at_saved.sha256) == (saved.as_uri(), of_saved.sha256)


def test_a_served_model_is_sent_as_its_url(capsys: pytest.CaptureFixture[str], sent: list[bytes]) -> None:
    url = "http://localhost:8501/v1/models/wine/versions/3"
    details = ("--model-type", "TFSERVING", "--signature-name", "predict")
    assert run(capsys, "publish-models", url, "--once", *details) == (0, "")
    assert ModelDescriptor.FromString(sent[0]) == ModelDescriptor(
        name="wine",
        description="TFSERVING model from wine",
        dataType="wine",
        modeltype=ModelDescriptor.TFSERVING,
        location=url,
        signature_name="predict",
    )


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("http://localhost:8501/v1/models/wine/labels/stable", "TFSERVING"),
        ("https://models.example/v2/models/wine/versions/3", "OPENINFERENCE"),
    ],
)
def test_the_kind_of_a_served_model_is_told_from_its_url(
    capsys: pytest.CaptureFixture[str], sent: list[bytes], url: str, kind: str
) -> None:
    assert run(capsys, "publish-models", url, "--once") == (0, "")
    message = ModelDescriptor.FromString(sent[0])
    assert (message.name, ModelType(message.modeltype).name, message.location) == ("wine", kind, url)
    assert (message.sha256, message.data) == ("", b"")


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["http://host/wine", "--model-type", "tfserving"], 1, "needs a location like http://host:8501/v1/"),
        (["PMML", "SAVED", "--version", "1"], 2, "--version is for one model, not for 2"),
        (["--version", "1"], 2, "are for your own models: name them (PATH)"),
        (["--inputs", "pH"], 2, "are for your own models: name them (PATH)"),
        (["PMML", "--signature-name", "x"], 2, "--signature-name is for SavedModels, and "),
        (["PMML", "--output", "best"], 2, "--output: 'best' is not one of AUTO, ARGMAX, VALUE"),
        (["PMML", "--model-type", "keras"], 2, "is not one of TENSORFLOW, TENSORFLOWSAVED, PMML, ONNX"),
        (["PMML", "--inputs", "pH,,alcohol"], 2, "--inputs: 'pH,,alcohol' has an empty name"),
        (["PMML", "--version", " "], 2, "--version: give a name that is not empty"),
        (["PMML", "--data-type", ""], 2, "--data-type: give a name that is not empty"),
        (["PMML", "--model-type", "onnx"], 1, "--model-type says ONNX, but it looks like PMML"),
        (["PMML", "--model-type", "tfserving"], 2, "is for the URL of a served model, but "),
        (["file:///no/such.pmml"], 1, "nothing is at the location 'file:///no/such.pmml'"),
        (["nosuch://host/x"], 1, "Protocol not known: nosuch"),
        (["SAVED", "--model-type", "pmml"], 1, "but it looks like an archive of a TensorFlow SavedModel"),
    ],
)
def test_what_does_not_go_together_is_one_line(
    capsys: pytest.CaptureFixture[str],
    sent: list[bytes],
    pmml: Path,
    saved: Path,
    arguments: list[str],
    status: int,
    said: str,
) -> None:
    paths = {"PMML": str(pmml), "SAVED": str(saved)}
    found, error = run(capsys, "publish-models", "--once", *(paths.get(one, one) for one in arguments))
    assert (found, error.count("\n")) == (status, 1)
    assert said in error
    assert sent == []


def test_records_go_out_with_their_own_data_type_and_time_or_those_of_sending(
    capsys: pytest.CaptureFixture[str], sent: list[bytes], tmp_path: Path
) -> None:
    file = tmp_path / "records.csv"
    file.write_text(f"dataType,{NAMES},ts,quality\nbeer,{ROW},1795449875084,5\n,{ROW},,5\n")
    status, error = run(
        capsys, "publish-data", file, "--rate", "1000", "--data-type", "cider", "--loop", "--count", "4"
    )
    assert (status, error.count("\n")) == (0, 3)
    assert "left out, because WineRecord has no such field: 'quality'" in error
    records = [WineRecord.FromString(payload) for payload in sent]
    assert [record.dataType for record in records] == ["beer", "cider"] * 2
    assert [record.ts == 1795449875084 for record in records] == [True, False] * 2
    assert all(record.ts for record in records)


@pytest.mark.parametrize("joined", [True, False])
def test_columns_may_begin_with_one_that_is_left_out(
    capsys: pytest.CaptureFixture[str], sent: list[bytes], tmp_path: Path, joined: bool
) -> None:
    file = tmp_path / "records.csv"
    file.write_text(f"1,{ROW}\n")
    columns = [f"--columns=-,{NAMES}"] if joined else ["--columns", f"-,{NAMES}"]
    assert run(capsys, "publish-data", file, *columns) == (0, "")
    assert WineRecord.FromString(sent[0]).alcohol == 9.4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--columns", "pH"], "--columns describes the columns of your own file"),
        (["FILE", "--columns", "pH,acid"], "--columns: WineRecord has no field 'acid'"),
        (["FILE", "--columns", "pH,,acid"], "--columns: 'pH,,acid' has an empty name"),
    ],
)
def test_wrong_columns_are_a_wrong_call(
    capsys: pytest.CaptureFixture[str], sent: list[bytes], tmp_path: Path, arguments: list[str], said: str
) -> None:
    file = tmp_path / "records.csv"
    file.write_text(f"{ROW}\n")
    status, error = run(capsys, "publish-data", *(str(file) if one == "FILE" else one for one in arguments))
    assert (status, error.count("\n")) == (2, 1)
    assert said in error
    assert sent == []
