"""Fetches models that are sent by location: a file, or a folder, which is packed as a tar."""

from __future__ import annotations

import io
import os
import re
import stat
import tarfile
from collections.abc import Sequence
from pathlib import Path
from posixpath import relpath
from typing import Any
from urllib.parse import unquote

from model_serving.core.errors import ModelRejected
from model_serving.core.model_servers.location import is_under, read_location, type_of_location

__all__ = ["LocationStore"]

_CHUNK = 1 << 20
_MOST_ENTRIES = 10_000
_KERNELS_OWN = ("/proc/", "/sys/")

# RFC 3986, 3.1, but with two letters or more: one letter before a colon is not a scheme (it may be a disk).
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(.*)", re.DOTALL)
_LOCAL_SCHEMES = ("", "file", "local")
_WEB_SCHEMES = frozenset({"http", "https"})
_MOST_ESCAPED = 5
"""The number of rounds of percent-decoding after which a path is refused."""


class LocationStore:
    """Reads anything that ``fsspec`` opens: a path, ``file:/…``, ``file:///…``, ``s3://…``, ….

    A scheme may be in upper or lower case. In a ``file:`` URL percent-escapes are decoded (``%20`` is a
    space); a path is not decoded. A path that is not absolute is relative to ``base_dir``. A folder becomes a
    tar (ustar, members sorted by name; owner, mode and time left out), so that its digest depends only on
    names and contents.
    """

    def __init__(self, base_dir: str, limit: int, allowed: Sequence[str] = ()) -> None:
        """``limit`` is the largest size of a model in bytes; models may be under the ``allowed`` places.

        A place is a path or a URL. Without places, models may be anywhere. Links of the local file system are
        followed before a path is compared with a place.
        """
        self._base_dir = base_dir
        self._limit = limit
        self._allowed = allowed

    def read(self, location: str) -> bytes:
        """The content of a model.

        Raises:
            ModelRejected: the model is not under an allowed place, cannot be read, or is larger than the
                limit.
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
        # fsspec's file systems pass on any exception of their client libraries.
        except Exception as error:
            why = " ".join(str(error).split()) or type(error).__name__
            raise ModelRejected(f"the location '{location}' cannot be read: {why}") from error

    def check_served(self, url: str) -> None:
        """Checks the location of a model that its server scores: nothing is read from there.

        Raises:
            ModelRejected: the model is not under an allowed place.
        """
        model_type = type_of_location(url)
        if self._allowed and (
            model_type is None
            or not any(is_under(read_location(url, model_type), place) for place in self._allowed)
        ):
            raise self._outside(url)

    def _open(self, location: str) -> tuple[Any, str]:
        # Imported here, because not every process that imports this module fetches a model.
        import fsspec
        from fsspec.core import url_to_fs

        if "::" in location and "://" in location:
            if self._allowed:
                # With one file system inside another, it is not clear which of them must be allowed.
                raise self._outside(location)
            filesystem, path = url_to_fs(location)
            return filesystem, str(path)
        scheme, rest = _split(location)
        if scheme in _LOCAL_SCHEMES:
            # Never given to fsspec as a URL, because fsspec could take part of a path for another scheme.
            return fsspec.filesystem("file"), self._local_path(rest if scheme else location, scheme)
        filesystem, path = url_to_fs(f"{scheme}:{rest}")
        return filesystem, str(path)

    def _local_path(self, rest: str, scheme: str) -> str:
        """The path of a location in the local file system; in a URL, ``%20`` stands for a space.

        A file that has such an escape in its name is found, too.
        """
        if not scheme:
            return str(Path(self._base_dir, rest))
        path = rest.removeprefix("//")
        if rest.casefold().startswith("//localhost/"):
            path = rest[len("//localhost") :]
        written = str(Path(self._base_dir, path))
        return written if os.path.lexists(written) else str(Path(self._base_dir, unquote(path)))

    def _check(self, filesystem: Any, path: str, location: str) -> None:
        """Raises ModelRejected if models may not be at this path."""
        if not self._allowed:
            return
        for place in self._allowed:
            if _split(place)[0] in _LOCAL_SCHEMES and not _is_local(filesystem):
                continue
            if _split(place)[0] not in _LOCAL_SCHEMES and _is_local(filesystem):
                continue
            if _split(place)[0] in _WEB_SCHEMES and _WEB_SCHEMES.isdisjoint(_protocols(filesystem)):
                # The place of a model server; fsspec may have no client for it.
                continue
            allowed_in, allowed = self._open(place)
            # Two equal file systems have the same host and the same login.
            if filesystem == allowed_in and _is_under(path, allowed, local=_is_local(filesystem)):
                return
        raise self._outside(location)

    def _outside(self, location: str) -> ModelRejected:
        return ModelRejected(
            f"the location '{location}' is under none of the places where models may be "
            f"({', '.join(self._allowed)}): put the model there, or start the job with another "
            "--allow-locations"
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
    return "file" in _protocols(filesystem)


def _protocols(filesystem: Any) -> set[str]:
    return {filesystem.protocol} if isinstance(filesystem.protocol, str) else set(filesystem.protocol)


def _refuse_odd_file(path: str, location: str) -> None:
    """Refuses pipes, devices and files of the kernel: reading them may wait for ever or never end."""
    real = os.path.realpath(path)
    if not stat.S_ISREG(Path(real).stat().st_mode) or real.startswith(_KERNELS_OWN):
        raise ModelRejected(
            f"'{path}' at the location '{location}' is not a plain file: put the model into plain files"
        )


def _refuse_crowded(folder: str, location: str) -> None:
    # Counted before, because fsspec lists a whole folder before it returns the first file.
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


def _split(location: str) -> tuple[str, str]:
    """The scheme in lower case and the text after its colon; for a path, an empty scheme and the path."""
    found = _SCHEME.match(location)
    if found is None or not (found[1].casefold() in _LOCAL_SCHEMES or found[2].startswith("//")):
        return "", location
    return found[1].casefold(), found[2]


def _is_under(path: str, place: str, *, local: bool) -> bool:
    if local:
        path, place = os.path.realpath(path), os.path.realpath(place)
    elif _climbs(path):
        return False
    return path == place or path.startswith(place.rstrip("/") + "/")


def _climbs(path: str) -> bool:
    """Whether a path has ``..`` in it, in any spelling that a server might understand."""
    for _ in range(_MOST_ESCAPED):
        if ".." in re.split(r"[/\\]", path):
            return True
        plain = unquote(path)
        if plain == path:
            return False
        path = plain
    return True
