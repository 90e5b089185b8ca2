"""Fetches models that are sent by location: a file, or a folder that is packed as a tar."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from posixpath import relpath
from typing import Any

from functions.core.errors import ModelRejected

__all__ = ["LocationStore"]

_CHUNK = 1 << 20


class LocationStore:
    """Reads anything that ``fsspec`` opens: a path, ``file://``, ``s3://``, ….

    A path that is not absolute is relative to ``base_dir``. A folder becomes a tar (ustar, members sorted by
    name, owner, mode and time left out), so that its digest depends on names and contents only.
    """

    def __init__(self, base_dir: str, limit: int) -> None:
        """``limit`` is the greatest size of a model in bytes."""
        self._base_dir = base_dir
        self._limit = limit

    def read(self, location: str) -> bytes:
        """The content of a model.

        Raises:
            ModelRejected: it cannot be read, or is larger than the limit.
        """
        try:
            filesystem, path = self._open(location)
            if filesystem.isdir(path):
                return self._pack(filesystem, path.rstrip("/"), location)
            return self._fetch(filesystem, path, location, self._limit)
        except ModelRejected:
            raise
        except FileNotFoundError:
            raise ModelRejected(
                f"nothing is at the location '{location}': it must be readable where the job runs"
            ) from None
        # fsspec's file systems raise whatever their client libraries raise.
        except Exception as error:
            why = " ".join(str(error).split()) or type(error).__name__
            raise ModelRejected(f"the location '{location}' cannot be read: {why}") from error

    def _open(self, location: str) -> tuple[Any, str]:
        # Imported here: not every process that imports this module fetches a model.
        from fsspec.core import url_to_fs

        if "://" not in location:
            location = str(Path(self._base_dir, location))
        filesystem, path = url_to_fs(location)
        return filesystem, str(path)

    def _fetch(self, filesystem: Any, path: str, location: str, room: int) -> bytes:
        content = io.BytesIO()
        with filesystem.open(path, "rb") as source:
            while chunk := source.read(_CHUNK):
                content.write(chunk)
                if content.tell() > room:
                    raise ModelRejected(
                        f"the model at '{location}' is larger than the limit of {self._limit} bytes"
                    )
        return content.getvalue()

    def _pack(self, filesystem: Any, folder: str, location: str) -> bytes:
        packed = io.BytesIO()
        room = self._limit
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for path in sorted(filesystem.find(folder)):
                content = self._fetch(filesystem, path, location, room)
                room -= len(content)
                member = tarfile.TarInfo(relpath(path, folder))
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        return packed.getvalue()
