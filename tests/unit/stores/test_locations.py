"""Models by location: files as they are, folders as a tar that depends on names and contents only."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from model_serving.core.errors import ModelRejected
from model_serving.stores.locations import LocationStore

LIMIT = 10_000


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


SAVED = {
    "saved_model.pb": b"graph",
    "variables/index": b"i" * 700,
    "variables/data": b"",
    "assets/a b.txt": b"text",
}


@pytest.fixture
def store(tmp_path: Path) -> LocationStore:
    return LocationStore(str(tmp_path), LIMIT)


@pytest.fixture
def memory() -> Iterator[str]:
    """The URL of a folder in fsspec's in-memory file system."""
    filesystem = fsspec.filesystem("memory")
    yield "memory://models"
    filesystem.rm("/models", recursive=True)


def unpack(packed: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]


def test_a_file_is_its_content_however_it_is_named(tmp_path: Path, store: LocationStore) -> None:
    content = bytes(range(256)) * 20
    path = write(tmp_path, {"models/m.pmml": content}) / "models" / "m.pmml"
    for location in (str(path), "models/m.pmml", "./models/../models/m.pmml", path.as_uri()):
        assert store.read(location) == content


def test_a_relative_location_starts_at_the_base_folder_not_where_the_process_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"base/m": b"right", "elsewhere/m": b"wrong"})
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert LocationStore(str(tmp_path / "base"), LIMIT).read("m") == b"right"


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_folder_is_a_tar_sorted_by_name(tmp_path: Path, store: LocationStore, slash: str) -> None:
    write(tmp_path / "saved" / "1", SAVED)
    packed = store.read(f"saved/1{slash}")
    assert list(unpack(packed).items()) == sorted(SAVED.items())
    assert store.read((tmp_path / "saved" / "1").as_uri() + slash) == packed


def test_the_tar_depends_on_names_and_contents_only(tmp_path: Path, store: LocationStore) -> None:
    write(tmp_path / "one", SAVED)
    write(tmp_path / "two", dict(reversed(SAVED.items())))
    for path in (tmp_path / "two").rglob("*"):
        path.chmod(0o700)
        os.utime(path, (1, 1))
    assert store.read("one") == store.read("two")
    write(tmp_path / "two", {"saved_model.pb": b"other"})
    assert store.read("one") != store.read("two")


def test_other_file_systems_are_read_the_same_way(tmp_path: Path, store: LocationStore, memory: str) -> None:
    filesystem = fsspec.filesystem("memory")
    for name, content in SAVED.items():
        filesystem.pipe_file(f"/models/1/{name}", content)
    write(tmp_path / "local", SAVED)
    assert store.read(f"{memory}/1/saved_model.pb") == b"graph"
    assert store.read(f"{memory}/1/") == store.read("local")


def test_an_empty_folder_is_an_empty_tar(tmp_path: Path, store: LocationStore) -> None:
    (tmp_path / "empty").mkdir()
    assert unpack(store.read("empty")) == {}


@pytest.mark.parametrize("location", ["nothing/here", "file:///nothing/here", "memory://nothing/here"])
def test_nothing_is_there(store: LocationStore, location: str) -> None:
    with pytest.raises(ModelRejected) as rejected:
        store.read(location)
    assert str(rejected.value) == (
        f"nothing is at the location '{location}': it must be readable where the job runs"
    )


def test_a_model_up_to_the_limit_is_read_and_no_byte_more(tmp_path: Path, store: LocationStore) -> None:
    write(tmp_path, {"fits": b"x" * LIMIT, "too large": b"x" * (LIMIT + 1)})
    assert store.read("fits") == b"x" * LIMIT
    with pytest.raises(ModelRejected) as rejected:
        store.read("too large")
    assert str(rejected.value) == "the model at 'too large' is larger than the limit of 10000 bytes"


def test_the_limit_counts_all_files_of_a_folder(tmp_path: Path, store: LocationStore) -> None:
    write(tmp_path, {"fits/a": b"x" * 6_000, "fits/b": b"x" * 4_000})
    assert unpack(store.read("fits")) == {"a": b"x" * 6_000, "b": b"x" * 4_000}
    write(tmp_path, {"fits/c": b"x"})
    with pytest.raises(ModelRejected, match=r"^the model at 'fits' is larger than the limit of 10000 bytes$"):
        store.read("fits")


def test_a_file_system_that_does_not_exist_is_one_line(store: LocationStore) -> None:
    with pytest.raises(ModelRejected) as rejected:
        store.read("nosuch://bucket/model")
    assert str(rejected.value) == (
        "the location 'nosuch://bucket/model' cannot be read: Protocol not known: nosuch"
    )


def test_whatever_a_file_system_raises_is_one_line(
    store: LocationStore, memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("access denied\n  try again")

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "isdir", fail)
    fsspec.filesystem("memory").pipe_file("/models/1", b"")
    with pytest.raises(ModelRejected) as rejected:
        store.read(f"{memory}/1")
    assert str(rejected.value) == ("the location 'memory://models/1' cannot be read: access denied try again")


def test_models_are_read_from_allowed_places_only(tmp_path: Path, memory: str) -> None:
    write(tmp_path, {"models/m": b"good", "models-of-others/m": b"bad", "secret/m": b"bad"})
    fsspec.filesystem("memory").pipe_file("/models/good/1", b"good")
    fsspec.filesystem("memory").pipe_file("/models/goods", b"bad")
    (tmp_path / "models" / "link").symlink_to(tmp_path / "secret" / "m")
    store = LocationStore(str(tmp_path), LIMIT, ("models", f"{memory}/good/"))
    for location in ("models/m", (tmp_path / "models" / "m").as_uri(), f"{memory}/good/1"):
        assert store.read(location) == b"good"
    for location in (
        "secret/m",
        "models-of-others/m",
        "models/../secret/m",
        "models/link",
        (tmp_path / "secret" / "m").as_uri(),
        "/etc/hostname",
        f"{memory}/goods",
        f"{memory}/good/../goods",
        f"simplecache::{memory}/good/1",
    ):
        with pytest.raises(ModelRejected) as rejected:
            store.read(location)
        assert str(rejected.value) == (
            f"the location '{location}' is under none of the places where models may be "
            f"(models, {memory}/good/): put the model there, or start the job with another --allow-locations"
        )


def test_every_spelling_of_a_local_place_is_taken(tmp_path: Path, store: LocationStore) -> None:
    write(
        tmp_path, {"my models/m 1": b"spaces", "100%.pmml": b"percent", "a%20b": b"escape", "a::b": b"colons"}
    )
    for location in (
        f"file:{tmp_path}/my%20models/m%201",
        f"file://{tmp_path}/my%20models/m%201",
        f"FILE://{tmp_path}/my models/m 1",
        f"File:{tmp_path}/my%20models/m 1",
        f"file://localhost{tmp_path}/my%20models/m%201",
        f"file://LocalHost{tmp_path}/my%20models/m%201",
        f"local://{tmp_path}/my%20models/m%201",
        "file:my%20models/m%201",
        "file://my%20models/m%201",
        "my models/m 1",
        f"file://{tmp_path}/%6d%79%20models/m%201",
    ):
        assert (location, store.read(location)) == (location, b"spaces")
    assert store.read(f"file://{tmp_path}/100%.pmml") == b"percent"
    assert store.read(f"file://{tmp_path}/100%25.pmml") == b"percent"
    # A file that is really called so is found as before; in a path nothing is decoded.
    assert store.read(f"file://{tmp_path}/a%20b") == store.read("a%20b") == b"escape"
    assert store.read("a::b") == b"colons"
    with pytest.raises(ModelRejected, match="nothing is at the location 'my%20models/m%201'"):
        store.read("my%20models/m%201")


def test_a_scheme_of_another_file_system_is_taken_in_any_case(store: LocationStore, memory: str) -> None:
    fsspec.filesystem("memory").pipe_file("/models/1", b"good")
    assert store.read("MEMORY://models/1") == b"good"
    assert LocationStore("/", LIMIT, ("Memory://models",)).read(f"{memory}/1") == b"good"


def test_no_spelling_leads_out_of_the_allowed_places(tmp_path: Path, memory: str) -> None:
    write(tmp_path, {"my models/m": b"good", "secret/m": b"bad", "my models of others/m": b"bad"})
    write(tmp_path, {"my models/a::b": b"good"})
    (tmp_path / "my models" / "link").symlink_to(tmp_path / "secret" / "m")
    (tmp_path / "my models" / "folder link").symlink_to(tmp_path / "secret")
    fsspec.filesystem("memory").pipe_file("/models/good/1", b"good")
    fsspec.filesystem("memory").pipe_file("/models/secret", b"bad")
    for allowed in ("my models", f"file:{tmp_path}/my%20models", f"FILE://{tmp_path}/my models/"):
        store = LocationStore(str(tmp_path), LIMIT, (allowed, f"{memory}/good"))
        for location in (
            "my models/m",
            f"file:{tmp_path}/my%20models/m",
            f"FILE://localhost{tmp_path}/my%20models/m",
            f"file:{tmp_path}/secret/%2e%2e/my%20models/m",
            "MEMORY://models/good/1",
            str(tmp_path / "my models" / "a::b"),
        ):
            assert (location, store.read(location)) == (location, b"good")
        for location in (
            f"file:{tmp_path}/secret/m",
            f"FILE://{tmp_path}/secret/m",
            f"file://localhost{tmp_path}/secret/m",
            f"local://{tmp_path}/secret/m",
            f"file:{tmp_path}/my%20models/../secret/m",
            f"file:{tmp_path}/my%20models/%2e%2e/secret/m",
            f"file:{tmp_path}/my%20models/%2E%2E%2Fsecret%2Fm",
            f"file:{tmp_path}/my%20models/link",
            f"file:{tmp_path}/my%20models/folder%20link/m",
            f"file:{tmp_path}/my%20models%20of%20others/m",
            f"file:file:{tmp_path}/secret/m",
            "file:memory://models/secret",
            f"{memory}/good/../secret",
            f"{memory}/good/%2e%2e/secret",
            f"{memory}/good/%252e%252e/secret",
            f"{memory}/good/..\\secret",
            "MEMORY://models/secret",
            f"simplecache::file://{tmp_path}/my%20models/m",
            f"file:{tmp_path}/my%20models/m::memory://models/secret",
        ):
            with pytest.raises(ModelRejected) as rejected:
                store.read(location)
            assert (location, "is under none of the places" in str(rejected.value)) == (location, True)


class HostedFileSystem(fsspec.get_filesystem_class("memory")):  # type: ignore[misc]
    """Like those of FTP and SFTP: the host is no part of a path."""

    protocol = "hosted"

    def __init__(self, host: str = "", **options: object) -> None:
        super().__init__(**options)
        self.host = host

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return "/" + path.partition("://")[2].partition("/")[2] if "://" in path else path

    @staticmethod
    def _get_kwargs_from_urls(path: str) -> dict[str, str]:
        return {"host": path.partition("://")[2].partition("/")[0]}


def test_an_allowed_place_is_on_its_own_host_only(tmp_path: Path, memory: str) -> None:
    fsspec.register_implementation("hosted", HostedFileSystem, clobber=True)
    fsspec.filesystem("memory").pipe_file("/models/1", b"good")
    store = LocationStore(str(tmp_path), LIMIT, ("hosted://good/models",))
    assert store.read("hosted://good/models/1") == b"good"
    with pytest.raises(ModelRejected, match="is under none of the places"):
        store.read("hosted://evil/models/1")


def test_a_link_does_not_lead_out_of_an_allowed_folder(tmp_path: Path) -> None:
    write(tmp_path, {"models/saved/saved_model.pb": b"graph", "secret/key": b"bad"})
    (tmp_path / "models" / "saved" / "key").symlink_to(tmp_path / "secret" / "key")
    assert LocationStore(str(tmp_path), LIMIT).read("models/saved")
    with pytest.raises(ModelRejected, match="is under none of the places"):
        LocationStore(str(tmp_path), LIMIT, ("models",)).read("models/saved")


def test_pipes_devices_and_what_the_kernel_makes_up_are_no_models(
    tmp_path: Path, store: LocationStore
) -> None:
    os.mkfifo(tmp_path / "pipe")
    write(tmp_path, {"folder/saved_model.pb": b"graph"})
    os.mkfifo(tmp_path / "folder" / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    for location in ("pipe", "folder", "link", "/dev/zero", "file:///dev/random", "/proc/self/maps"):
        with pytest.raises(ModelRejected, match=r"is not a plain file: put the model into plain files$"):
            store.read(location)


def test_a_crowded_folder_is_not_listed(
    tmp_path: Path, store: LocationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model_serving.stores.locations._MOST_ENTRIES", 3)
    write(
        tmp_path, {"fits/a": b"", "fits/b/c": b"", "crowded/a": b"", "crowded/b/c": b"", "crowded/b/d": b""}
    )
    (tmp_path / "loops").mkdir()
    for name in ("a", "b"):
        (tmp_path / "loops" / name).symlink_to(tmp_path / "loops")
    assert unpack(store.read("fits")) == {"a": b"", "b/c": b""}
    for folder in ("crowded", "loops"):
        with pytest.raises(
            ModelRejected, match=f"^the folder at the location '{folder}' has more than 3 files"
        ):
            store.read(folder)


def test_models_that_a_server_scores_are_asked_for_at_allowed_places_only(
    tmp_path: Path, memory: str
) -> None:
    url = "http://models:8501/v1/models/wine"
    LocationStore(str(tmp_path), LIMIT).check_served(url)
    (tmp_path / "model").write_bytes(b"x")
    fsspec.filesystem("memory").pipe("/models/m", b"y")
    store = LocationStore(str(tmp_path), LIMIT, ("http://models:8501/v1/", str(tmp_path), memory))
    store.check_served(url)
    # A place on a model server says nothing about other models, and needs no client of its own.
    assert (store.read("model"), store.read(f"{memory}/m")) == (b"x", b"y")
    for other in ("http://models/v1/models/wine", "http://models:8501/v2/models/wine"):
        with pytest.raises(ModelRejected, match="is under none of the places where models may be"):
            store.check_served(other)
