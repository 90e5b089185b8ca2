"""Unpacks the zip or tar of a SavedModel folder, without trusting it."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
import zlib
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING

from functions.core.errors import ModelRejected
from functions.engines.foreign_errors import first_line
from functions.engines.limits import current_limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["unpacked"]

MOST_FILES = 10_000
MOST_FOLDERS_DOWN = 2
_BLOCK = 1024 * 1024


@contextmanager
def unpacked(archive: bytes) -> Iterator[Path]:
    """The SavedModel's folder, in a temporary place that is gone when the block ends.

    ``saved_model.pb`` is at the top level of the archive or up to two folders down.

    Raises:
        ModelRejected: no zip or tar, an entry that is no plain file inside the archive (``..``, an absolute
        path,
            a link, a device), too many or too big files, or not exactly one SavedModel in it.
    """
    with TemporaryDirectory(prefix="saved-model-") as name:
        root = Path(name)
        try:
            _unpack(archive, root)
        # RuntimeError and NotImplementedError: zipfile's words for encryption and unknown compression.
        except (OSError, EOFError, zlib.error, zipfile.BadZipFile, tarfile.TarError, RuntimeError) as error:
            raise ModelRejected(
                f"the SavedModel's archive cannot be unpacked: {first_line(error)}"
            ) from error
        yield _saved_model_in(root)


def _unpack(archive: bytes, root: Path) -> None:
    budget = _Budget()
    if archive.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(archive)) as packed:
            for entry in packed.infolist():
                kind = stat.S_IFMT(entry.external_attr >> 16)
                if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
                    raise _no_plain_file(entry.filename)
                target = _target(root, entry.filename)
                if not entry.is_dir():
                    budget.write(target, partial(packed.open, entry))
    else:
        with tarfile.open(fileobj=io.BytesIO(archive)) as packed_tar:
            for member in packed_tar:
                if not (member.isreg() or member.isdir()):
                    raise _no_plain_file(member.name)
                target = _target(root, member.name)
                if member.isreg():
                    budget.write(target, partial(packed_tar.extractfile, member))


class _Budget:
    """What may still be written. Counts the bytes themselves: headers can lie."""

    def __init__(self) -> None:
        self._most = self._bytes = current_limits().unpacked_bytes
        self._files = MOST_FILES

    def write(self, target: Path, open_source: Callable[[], IO[bytes] | None]) -> None:
        self._files -= 1
        if self._files < 0:
            raise ModelRejected(f"the SavedModel's archive has more than {MOST_FILES:,} files")
        source = open_source()
        if source is None:
            raise _no_plain_file(target.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        with source, target.open("xb") as sink:
            while block := source.read(_BLOCK):
                self._bytes -= len(block)
                if self._bytes < 0:
                    raise ModelRejected(
                        f"the SavedModel's archive unpacks to more than {self._most:,} bytes: "
                        "use a smaller model, or raise --unpacked-size-limit"
                    )
                sink.write(block)


def _target(root: Path, name: str) -> Path:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
        raise ModelRejected(
            f"the SavedModel's archive has the unsafe entry '{first_line(name)}': pack it anew"
        )
    return root / path


def _no_plain_file(name: str) -> ModelRejected:
    return ModelRejected(
        f"the entry '{first_line(name)}' of the SavedModel's archive is no plain file: pack without links"
    )


def _saved_model_in(root: Path) -> Path:
    found = sorted(
        path.parent
        for path in root.rglob("saved_model.pb")
        if len(path.relative_to(root).parts) <= MOST_FOLDERS_DOWN + 1
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
