"""Fetches models that are sent by location: a file, or a folder that is packed as a tar."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from collections.abc import Collection, Sequence
from pathlib import Path
from posixpath import relpath
from typing import Any

from model_serving.core.errors import ModelRejected

__all__ = ["LocationStore"]

_CHUNK = 1 << 20
_MOST_ENTRIES = 10_000
_KERNELS_OWN = ("/proc/", "/sys/")


class LocationStore:
    """Reads anything that ``fsspec`` opens: a path, ``file://``, ``s3://``, ….

    A path that is not absolute is relative to ``base_dir``. A folder becomes a tar (ustar, members sorted by
    name, owner, mode and time left out), so that its digest depends on names and contents only.
    """

    def __init__(self, base_dir: str, limit: int, allowed: Sequence[str] = ()) -> None:
        """``limit`` is the greatest size of a model in bytes; models may be under the ``allowed`` places.

        A place is a path or a URL; without any, models may be anywhere. Links of the local file system are
        followed before it is asked whether a file is under a place.
        """
        self._base_dir = base_dir
        self._limit = limit
        self._allowed = allowed

    def read(self, location: str) -> bytes:
        """The content of a model.

        Raises:
            ModelRejected: it cannot be read, or is larger than the limit.
        """
        try:
            filesystem, path = self._open(location)
            self._check(filesystem, path, location)
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

        if self._allowed and "::" in location:
            # One file system inside another: which of them would have to be allowed?
            raise self._outside(location)
        if "://" not in location:
            location = str(Path(self._base_dir, location))
        filesystem, path = url_to_fs(location)
        return filesystem, str(path)

    def _check(self, filesystem: Any, path: str, location: str) -> None:
        """Raises ModelRejected if models may not be at this path."""
        if not self._allowed:
            return
        protocols = {filesystem.protocol} if isinstance(filesystem.protocol, str) else filesystem.protocol
        for place in self._allowed:
            of_place, _, _ = place.rpartition("://")
            if (of_place or "file") in protocols and _is_under(path, self._open(place)[1], protocols):
                return
        raise self._outside(location)

    def _outside(self, location: str) -> ModelRejected:
        return ModelRejected(
            f"the location '{location}' is under none of the places where models may be "
            f"({', '.join(self._allowed)}): put it there, or start the job with another --allow-locations"
        )

    def _fetch(self, filesystem: Any, path: str, location: str, room: int) -> bytes:
        if _is_local(filesystem):
            _refuse_odd_file(path, location)
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
            if _is_local(filesystem):
                _refuse_crowded(folder, location)
            for path in sorted(filesystem.find(folder)):
                # A link in a folder may lead out of it.
                self._check(filesystem, path, location)
                content = self._fetch(filesystem, path, location, room)
                room -= len(content)
                member = tarfile.TarInfo(relpath(path, folder))
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        return packed.getvalue()


def _is_local(filesystem: Any) -> bool:
    return "file" in ([filesystem.protocol] if isinstance(filesystem.protocol, str) else filesystem.protocol)


def _refuse_odd_file(path: str, location: str) -> None:
    """A pipe has a reader wait for ever, a device never ends, and what the kernel makes up may do both."""
    real = os.path.realpath(path)
    if not stat.S_ISREG(Path(real).stat().st_mode) or real.startswith(_KERNELS_OWN):
        raise ModelRejected(
            f"'{path}' at the location '{location}' is no plain file: models are read from those"
        )


def _refuse_crowded(folder: str, location: str) -> None:
    # Counted beforehand: fsspec lists all of a folder before it gives the first file.
    left = _MOST_ENTRIES
    pending = [folder]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                left -= 1
                if left < 0:
                    raise ModelRejected(
                        f"the folder at the location '{location}' has more than {_MOST_ENTRIES:,} files and "
                        "folders in it: name the model's own folder"
                    )
                if entry.is_dir():
                    pending.append(entry.path)


def _is_under(path: str, place: str, protocols: Collection[str]) -> bool:
    if "file" in protocols:
        path, place = os.path.realpath(path), os.path.realpath(place)
    inside = path == place or path.startswith(place.rstrip("/") + "/")
    return inside and ".." not in path.split("/")
