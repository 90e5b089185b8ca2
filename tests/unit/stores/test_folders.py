"""Folders of files that one process writes and others read."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import fsspec
import pytest

from model_serving.core.model_store import StoreFailed
from model_serving.stores.folders import Folder


@pytest.fixture(params=["path", "file", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param != "memory":
        yield f"{'file://' if request.param == 'file' else ''}{tmp_path}/not/there/yet"
        return
    folder = f"memory://{uuid4().hex}"
    yield folder
    memory, path = fsspec.core.url_to_fs(folder)
    if memory.exists(path):
        memory.rm(path, recursive=True)


def test_files_are_written_replaced_listed_and_deleted(url: str) -> None:
    folder = Folder(url)
    assert (folder.read("a"), folder.names("inner"), folder.stamp("a")) == (None, [], None)
    folder.delete("a")
    folder.write("a", b"1")
    folder.write("a", b"22")
    folder.write("inner/c", b"")
    folder.write("inner/b", b"3")
    assert (folder.read("a"), folder.read("inner/c")) == (b"22", b"")
    assert folder.names("inner") == ["b", "c"]
    folder.delete("inner/b")
    assert folder.names("inner") == ["c"]


def test_a_stamp_changes_with_the_file_also_where_its_size_does_not(url: str) -> None:
    folder = Folder(url)
    folder.write("a", b"1")
    first = folder.stamp("a")
    assert folder.stamp("a") == first
    folder.write("a", b"2")
    assert folder.stamp("a") != first


def test_a_folder_goes_to_other_processes_as_its_url(url: str) -> None:
    folder = Folder(url)
    folder.write("a", b"1")
    sent = pickle.loads(pickle.dumps(folder))
    assert sent.read("a") == b"1"
    assert str(sent) == str(folder)


def test_files_that_are_being_written_are_not_listed(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    folder.write("inner/a", b"1")
    (tmp_path / "inner" / "b.0123.part").write_bytes(b"half")
    assert folder.names("inner") == ["a"]


def test_a_folder_that_cannot_be_used_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    folder = Folder(f"{tmp_path}/file")
    with pytest.raises(StoreFailed, match=r"^the folder .*/file cannot be written: "):
        folder.write("inner/a", b"1")
    with pytest.raises(StoreFailed, match=r"^the folder .*/file cannot be read: "):
        folder.read("inner/a")
