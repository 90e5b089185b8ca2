"""The model store on file systems that fsspec opens."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import fsspec
import pytest

from model_serving.core.model_store import StoreFailed
from model_serving.stores.models import FsspecModelStore, missing_client, without_credentials

PATH = "run/wine-0123/" + "ab" * 32


@pytest.fixture(params=["file", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "file":
        yield f"file://{tmp_path}/not/there/yet"
    else:
        folder = f"memory://{uuid4().hex}"
        yield folder
        memory, path = fsspec.core.url_to_fs(folder)
        if memory.exists(path):
            memory.rm(path, recursive=True)


def files(url: str) -> dict[str, bytes]:
    """Every file below a URL, by its path there."""
    filesystem, root = fsspec.core.url_to_fs(url)
    return (
        {str(path)[len(root) + 1 :]: filesystem.cat_file(path) for path in filesystem.find(root)}
        if filesystem.exists(root)
        else {}
    )


def test_put_get_delete(url: str) -> None:
    store = FsspecModelStore(url)
    with pytest.raises(FileNotFoundError):
        store.get(PATH)
    store.delete(PATH)
    store.put(PATH, b"\x00model\xff")
    store.put("run/wine-0123/other", b"")
    assert files(url) == {PATH: b"\x00model\xff", "run/wine-0123/other": b""}
    assert store.get(PATH) == b"\x00model\xff"
    store.delete(PATH)
    store.delete(PATH)
    assert files(url) == {"run/wine-0123/other": b""}


def test_what_is_there_is_not_written_again_and_what_is_cut_short_is(url: str) -> None:
    store = FsspecModelStore(url)
    store.put(PATH, b"first")
    store.put(PATH, b"other")
    assert files(url) == {PATH: b"first"}
    store.put(PATH, b"longer")
    assert files(url) == {PATH: b"longer"}


def test_an_object_appears_when_all_of_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ends while it writes leaves nothing under the object's name."""
    seen: list[dict[str, bytes]] = []

    def full(file: int) -> None:
        seen.append(files(str(tmp_path)))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreFailed) as failed:
        FsspecModelStore(f"file://{tmp_path}").put(PATH, b"model")
    assert str(failed.value) == (
        f"the model store file://{tmp_path} cannot be written: [Errno 28] No space left on device"
    )
    (written,) = seen
    assert (list(written.values()), PATH in written) == ([b"model"], False)
    assert files(str(tmp_path)) == {}


def test_a_store_that_cannot_be_used_says_so_and_works_when_mended(tmp_path: Path) -> None:
    (tmp_path / "models").write_bytes(b"a file where the folder should be")
    store = FsspecModelStore(f"file://{tmp_path}/models")
    for call in (lambda: store.put(PATH, b"model"), lambda: store.get(PATH), lambda: store.delete(PATH)):
        with pytest.raises(StoreFailed, match=rf"^the model store file://{tmp_path}/models cannot be .*\n?$"):
            call()
    (tmp_path / "models").unlink()
    store.put(PATH, b"model")
    assert store.get(PATH) == b"model"


def test_a_store_that_loses_bytes_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = fsspec.filesystem("memory")
    monkeypatch.setattr(type(memory), "pipe_file", lambda self, path, value: None)
    with pytest.raises(StoreFailed, match="holds None of 5 bytes after they were written"):
        FsspecModelStore(f"memory://{uuid4().hex}").put(PATH, b"model")


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/etc/x", "", "a//b", "."])
def test_no_path_leads_out_of_the_store(tmp_path: Path, path: str) -> None:
    store = FsspecModelStore(f"file://{tmp_path}/models")
    with pytest.raises(StoreFailed, match="a path leads out of it"):
        store.put(path, b"model")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3://bucket/models", "s3://bucket/models"),
        ("s3://key:sec/r+et@bucket/models", "s3://bucket/models"),
        ("sftp://me@host/models?password=x", "sftp://host/models"),
        ("/models", "/models"),
    ],
)
def test_what_is_shown_of_a_url_has_no_credentials(url: str, shown: str) -> None:
    assert (without_credentials(url), str(FsspecModelStore(url))) == (shown, shown)


def test_an_error_of_a_client_library_does_not_show_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "memory://key:sec%2Fret@bucket/models"

    def refuses(*arguments: Any, **more: Any) -> None:
        raise PermissionError(f"{url} refused 'key' with sec/ret\nand more")

    monkeypatch.setattr(fsspec.core, "url_to_fs", refuses)
    with pytest.raises(StoreFailed) as failed:
        FsspecModelStore(url).get(PATH)
    assert str(failed.value) == (
        "the model store memory://bucket/models cannot be read: "
        "memory://***@bucket/models refused '***' with *** and more"
    )
    # A traceback in a log would show what the error came from.
    assert failed.value.__suppress_context__


@pytest.mark.parametrize(
    ("url", "lacking"),
    [
        ("file:///models", ""),
        ("memory://models", ""),
        ("s3://key:secret@bucket", "Install s3fs to access S3"),
        ("nowhere://models", "Protocol not known: nowhere"),
    ],
)
def test_clients_that_are_not_installed_are_told(url: str, lacking: str) -> None:
    assert missing_client(url) == lacking
