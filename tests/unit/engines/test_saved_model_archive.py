from __future__ import annotations

import io
import tarfile
import tempfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from model_serving.core.errors import ModelRejected
from model_serving.engines.tensorflow import archive as saved_model_archive
from model_serving.engines.tensorflow.archive import unpacked
from tests.hostile_models import link_in_zip, special_in_tar

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = {"saved_model.pb": b"graph", "variables/variables.index": b"index"}


@pytest.fixture(autouse=True)
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def as_zip(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def as_tar(files: dict[str, bytes], mode: str = "w") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def under(prefix: str, files: dict[str, bytes] = CONTENT) -> dict[str, bytes]:
    return {prefix + name: content for name, content in files.items()}


@pytest.mark.parametrize("prefix", ["", "./", "1/", "saved/1/"])
@pytest.mark.parametrize(
    "pack", [as_zip, as_tar, lambda files: as_tar(files, "w:gz")], ids=["zip", "tar", "tgz"]
)
def test_the_folder_is_found_and_gone_afterwards(pack: object, prefix: str, temporary_folder: Path) -> None:
    assert callable(pack)
    with unpacked(pack(under(prefix))) as folder:
        assert {
            str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()
        } == CONTENT
    assert list(temporary_folder.iterdir()) == []


NEITHER = "the SavedModel's archive is neither a zip nor a tar ({}): pack the SavedModel's folder"
NO_FILE = "the entry 'saved_model.pb' of the SavedModel's archive is not a plain file: pack without links"


@pytest.mark.parametrize(
    ("archive", "text"),
    [
        (
            as_zip({"../saved_model.pb": b""}),
            "the SavedModel's archive has the unsafe entry '../saved_model.pb': pack it again",
        ),
        (
            as_tar({"a/../../saved_model.pb": b""}),
            "the SavedModel's archive has the unsafe entry 'a/../../saved_model.pb': pack it again",
        ),
        (
            as_tar({"/saved_model.pb": b""}),
            "the SavedModel's archive has the unsafe entry '/saved_model.pb': pack it again",
        ),
        (link_in_zip(), NO_FILE),
        (special_in_tar(tarfile.SYMTYPE), NO_FILE),
        (special_in_tar(tarfile.LNKTYPE), NO_FILE),
        (special_in_tar(tarfile.CHRTYPE), NO_FILE),
        (
            as_zip({"a/b/c/saved_model.pb": b""}),
            (
                "the archive has no saved_model.pb at its top level or up to two folders down: "
                "pack the SavedModel's folder"
            ),
        ),
        (
            as_zip({"metadata.json": b"", "config.json": b"", "model.weights.h5": b""}),
            (
                "the archive is a .keras file, not a SavedModel: write one with "
                "keras.models.load_model('model.keras').export('folder'), and publish the folder"
            ),
        ),
        (as_zip(under("1/") | under("2/")), "the archive has 2 SavedModels (1, 2): pack one"),
        (b"no archive", NEITHER.format("truncated header")),
        (b"", NEITHER.format("empty file")),
        (
            as_zip(CONTENT)[:-5],
            "the SavedModel's archive cannot be unpacked: BadZipFile: File is not a zip file",
        ),
    ],
)
def test_what_is_not_safe_is_rejected_and_leaves_nothing(
    archive: bytes, text: str, temporary_folder: Path
) -> None:
    with pytest.raises(ModelRejected) as caught, unpacked(archive):
        pass
    assert str(caught.value) == text
    assert list(temporary_folder.iterdir()) == []


def test_sizes_are_counted_as_they_unpack(monkeypatch: pytest.MonkeyPatch, temporary_folder: Path) -> None:
    for pack in (as_zip, as_tar):
        with (
            pytest.raises(ModelRejected, match=r"unpacks to more than 9 bytes: .* --unpacked-size-limit$"),
            unpacked(pack(CONTENT), 9),
        ):
            pass
    monkeypatch.setattr(saved_model_archive, "MOST_ENTRIES", 1)
    with pytest.raises(ModelRejected, match=r"has more than 1 files and folders$"), unpacked(as_tar(CONTENT)):
        pass
    assert list(temporary_folder.iterdir()) == []
