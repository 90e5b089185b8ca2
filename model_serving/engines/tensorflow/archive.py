"""Unpacks the zip or tar of a SavedModel folder, without trusting it."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, TYPE_CHECKING, Any, Self

from model_serving.core.errors import ModelRejected
from model_serving.engines.foreign_errors import first_line, rejecting
from model_serving.engines.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["unpacked"]

MOST_ENTRIES = 10_000
MOST_NAME = 1000
MOST_PARTS = 32
MOST_FOLDERS_DOWN = 2
_BLOCK = 1024 * 1024
_ZIP_ENTRY = b"PK\x01\x02"
_COMPRESSED: dict[bytes, Callable[[IO[bytes]], Any]] = {
    b"\x1f\x8b": lambda packed: gzip.GzipFile(fileobj=packed),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ": lzma.LZMAFile,
}


@contextmanager
def unpacked(archive: bytes, most_bytes: int = Limits().unpacked_bytes) -> Iterator[Path]:
    """Unpacks a SavedModel and gives its folder, which is temporary and deleted when the block ends.

    All files together have at most ``most_bytes``.
    ``saved_model.pb`` is at the top level of the archive or up to two folders down.

    Raises:
        ModelRejected: the archive is not a zip or tar, an entry is not a plain file inside the archive
            (``..``, an absolute path, a link, a device), there are too many files or they are too large, or
            there is not exactly one SavedModel in the archive.
    """
    # The model is loaded before the folder is deleted, so a failure to delete it must not refuse the model.
    with TemporaryDirectory(prefix="saved-model-", ignore_cleanup_errors=True) as name:
        root = Path(name)
        # The standard library's readers may raise anything when numbers in the archive make no sense.
        with rejecting("the SavedModel's archive cannot be unpacked"):
            _unpack(archive, root, most_bytes)
        yield _saved_model_in(root)


def _unpack(archive: bytes, root: Path, most_bytes: int) -> None:
    budget = _Budget(most_bytes)
    if archive.startswith(b"PK"):
        # zipfile reads all entries of the directory before it returns the first; each has this signature.
        if archive.count(_ZIP_ENTRY) > MOST_ENTRIES:
            raise _too_many()
        with zipfile.ZipFile(io.BytesIO(archive)) as packed:
            for entry in packed.infolist():
                budget.count_entry()
                kind = stat.S_IFMT(entry.external_attr >> 16)
                if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
                    raise _no_plain_file(entry.filename)
                target = _target(root, entry.filename)
                if not entry.is_dir():
                    budget.write(target, partial(packed.open, entry))
    else:
        with _TarBytes(archive, most_bytes) as content, _open_tar(content) as packed_tar:
            for member in packed_tar:
                budget.count_entry()
                if not (member.isreg() or member.isdir()):
                    raise _no_plain_file(member.name)
                target = _target(root, member.name)
                if member.isreg():
                    budget.write(target, partial(packed_tar.extractfile, member))


def _open_tar(content: Any) -> tarfile.TarFile:
    try:
        return tarfile.open(fileobj=content, mode="r:")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ModelRejected(
            f"the SavedModel's archive is neither a zip nor a tar ({first_line(error)}): "
            "pack the SavedModel's folder"
        ) from error


class _TarBytes:
    """The decompressed bytes of a tar, in the safe form that ``tarfile`` needs.

    ``tarfile`` trusts lengths: if a header says that a name has gigabytes, it reads them at once. It also
    seeks back and forth, so it would decompress an archive of many entries as many times.
    """

    def __init__(self, archive: bytes, most_bytes: int) -> None:
        self._stream: IO[bytes] = io.BytesIO(archive)
        for magic, opened in _COMPRESSED.items():
            if archive.startswith(magic):
                self._stream = self._decompressed(opened(self._stream), most_bytes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def read(self, size: int) -> bytes:
        if size > _BLOCK:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        return self._stream.read(size)

    def seek(self, position: int) -> int:
        return self._stream.seek(position)

    def tell(self) -> int:
        return self._stream.tell()

    @staticmethod
    def _decompressed(packed: Any, most: int) -> IO[bytes]:
        # Headers and padding need space in addition to the files.
        left = most + MOST_ENTRIES * 3 * tarfile.BLOCKSIZE
        plain = TemporaryFile()  # noqa: SIM115 - ``__exit__`` closes it
        try:
            while block := packed.read(_BLOCK):
                left -= len(block)
                if left < 0:
                    raise _too_large(most)
                plain.write(block)
            plain.seek(0)
        except BaseException:
            plain.close()
            raise
        return plain


class _Budget:
    """The bytes and entries that may still be written. It counts the real bytes, because headers can lie."""

    def __init__(self, most: int) -> None:
        self._most = self._bytes = most
        self._entries = MOST_ENTRIES

    def count_entry(self) -> None:
        self._entries -= 1
        if self._entries < 0:
            raise _too_many()

    def write(self, target: Path, open_source: Callable[[], IO[bytes] | None]) -> None:
        source = open_source()
        if source is None:
            raise _no_plain_file(target.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        with source, target.open("xb") as sink:
            while block := source.read(_BLOCK):
                self._bytes -= len(block)
                if self._bytes < 0:
                    raise _too_large(self._most)
                sink.write(block)


def _target(root: Path, name: str) -> Path:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
        raise ModelRejected(
            f"the SavedModel's archive has the unsafe entry '{first_line(name)}': pack it again"
        )
    if len(name) > MOST_NAME or len(path.parts) > MOST_PARTS:
        raise ModelRejected(
            f"the SavedModel's archive has a name of {len(name):,} characters and {len(path.parts):,} parts: "
            f"at most {MOST_NAME} and {MOST_PARTS} are allowed"
        )
    return root / path


def _too_many() -> ModelRejected:
    return ModelRejected(f"the SavedModel's archive has more than {MOST_ENTRIES:,} files and folders")


def _too_large(most: int) -> ModelRejected:
    return ModelRejected(
        f"the SavedModel's archive unpacks to more than {most:,} bytes: "
        "use a smaller model, or raise --unpacked-size-limit"
    )


def _no_plain_file(name: str) -> ModelRejected:
    return ModelRejected(
        f"the entry '{first_line(name)}' of the SavedModel's archive is not a plain file: pack without links"
    )


def _saved_model_in(root: Path) -> Path:
    found = sorted(
        path.parent
        for path in root.rglob("saved_model.pb")
        if len(path.relative_to(root).parts) <= MOST_FOLDERS_DOWN + 1
    )
    if not found and (root / "model.weights.h5").is_file() and (root / "config.json").is_file():
        raise ModelRejected(
            "the archive is a .keras file, not a SavedModel: write one with "
            "keras.models.load_model('model.keras').export('folder'), and publish the folder"
        )
    if not found:
        raise ModelRejected(
            "the archive has no saved_model.pb at its top level or up to two folders down: "
            "pack the SavedModel's folder"
        )
    if len(found) > 1:
        folders = ", ".join(str(path.relative_to(root)) for path in found)
        raise ModelRejected(f"the archive has {len(found)} SavedModels ({folders}): pack one")
    return found[0]
