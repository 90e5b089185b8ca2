"""The type of a model file is recognized from its content; other files are refused."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import pytest

from model_serving.client.model_files import UnknownModelFile, detect, pack_saved_model
from model_serving.core.messages import ModelType

PMML = b'<?xml version="1.0"?>\n<PMML xmlns="http://www.dmg.org/PMML-4_3" version="4.3"><Header/></PMML>'
ONNX = (
    b"\x08\x08"  # ir_version = 8
    b"\x12\x04test"  # producer_name
    b"\x3a\x00"  # graph
    b"\x42\x02\x10\x0d"  # opset_import { version: 13 }
)
NODE = b"\x0a\x01x\x12\x0bPlaceholder"
GRAPH = b"\x0a" + bytes([len(NODE)]) + NODE + b"\x22\x02\x08\x1b"  # node, versions { producer: 27 }
SAVED = b"\x08\x01\x12\x00"  # saved_model_schema_version = 1, meta_graphs


@pytest.fixture
def saved_model(tmp_path: Path) -> Path:
    folder = tmp_path / "saved" / "1"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(SAVED)
    (folder / "variables" / "variables.index").write_bytes(b"index")
    return folder


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (PMML, ModelType.PMML),
        (b"\xef\xbb\xbf" + PMML, ModelType.PMML),
        (PMML.decode().replace("<?xml", "<?xml").encode("utf-16"), ModelType.PMML),
        (b"<pmml:PMML xmlns:pmml='http://www.dmg.org/PMML-4_4'/>", ModelType.PMML),
        (ONNX, ModelType.ONNX),
        (GRAPH, ModelType.TENSORFLOW),
    ],
)
def test_the_kind_is_told_from_the_content(tmp_path: Path, content: bytes, kind: ModelType) -> None:
    file = tmp_path / "model.bin"
    file.write_bytes(content)
    assert detect(file) is kind


def test_a_saved_model_is_a_folder_its_parent_or_an_archive(tmp_path: Path, saved_model: Path) -> None:
    packed = tmp_path / "model.zip"
    packed.write_bytes(pack_saved_model(saved_model))
    tar = tmp_path / "model.tar.gz"
    with tarfile.open(tar, "w:gz") as archive:
        archive.add(saved_model, "1")
    assert [detect(path) for path in (saved_model, saved_model.parent, packed, tar)] == [
        ModelType.TENSORFLOWSAVED
    ] * 4


def test_packing_depends_on_names_and_contents_alone(tmp_path: Path, saved_model: Path) -> None:
    before = pack_saved_model(saved_model)
    (saved_model / "saved_model.pb").touch()
    assert pack_saved_model(saved_model) == before
    packed = tmp_path / "model.zip"
    packed.write_bytes(before)
    with zipfile.ZipFile(packed) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "saved_model.pb": SAVED,
            "variables/variables.index": b"index",
        }


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "the file is empty"),
        (b"fixed acidity;quality\n7.4;5\n", "plain text"),
        (b"<html></html>", "an HTML page"),
        (b"<PMML", "no known kind"),
        (GRAPH[:-1], "no known kind"),
        (ONNX[:-1], "no known kind"),
        (ONNX + b"\x9a\x06\x00", "no known kind"),  # field 99
        (ONNX[:2] + ONNX[8:10], "no known kind"),  # no opset_import
        (b"\x0a\x03\x0a\x01x", "no known kind"),  # a node without an op
        (SAVED, "send the whole folder"),
        (b"\x89HDF\r\n\x1a\n", "export a SavedModel with model.export("),
        (b"\x1c\x00\x00\x00TFL3", "send the SavedModel that it was converted from"),
        (b"PK\x03\x04 cut short", "a damaged zip archive"),
        (bytes(range(256)), "no known kind"),
    ],
)
def test_anything_else_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    file = tmp_path / "model.bin"
    file.write_bytes(content)
    with pytest.raises(UnknownModelFile) as refused:
        detect(file)
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_refusal_of_a_folder_names_the_models_in_it(tmp_path: Path) -> None:
    """The folder of a model in MLflow, for example."""
    for name in ("MLmodel", "model.onnx", "data/model/saved_model.pb", "requirements.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(UnknownModelFile) as refused:
        detect(tmp_path)
    assert str(refused.value).endswith(
        f"give the model in it: {tmp_path / 'data' / 'model'} or {tmp_path / 'model.onnx'}"
    )


def test_what_is_not_there_or_holds_no_model_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.zip"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("readme", "nothing")
    for path, why in (
        (tmp_path / "absent", "No such file or directory"),
        (tmp_path, "the folder has no saved_model.pb"),
        (other, "a zip archive without a saved_model.pb"),
    ):
        with pytest.raises(UnknownModelFile, match=why):
            detect(path)
