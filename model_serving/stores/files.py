"""Files that appear whole or not at all, in any file system of ``fsspec``."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

__all__ = ["PART", "protocols", "size_of", "write_whole"]

PART = ".part"
"""The end of the name of a file that is still being written, or whose writer was killed."""

_OBJECTS_ARE_ATOMIC = frozenset(
    {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oci", "oss", "memory"}
)
"""File systems where an object appears only once all of it is written; elsewhere it is renamed at the end."""


def protocols(filesystem: Any) -> set[str]:
    """The names of the file system in URLs."""
    protocol = filesystem.protocol
    return {protocol} if isinstance(protocol, str) else set(protocol)


def size_of(filesystem: Any, place: str) -> int | None:
    """The size of a file in bytes; None when there is no file."""
    try:
        info = filesystem.info(place)
    except FileNotFoundError:
        return None
    return int(info["size"]) if info.get("type", "file") == "file" else None


def write_whole(filesystem: Any, place: str, content: bytes) -> None:
    """Writes a file; a file that was there is replaced in one step where the file system can do that."""
    if not _OBJECTS_ARE_ATOMIC.isdisjoint(protocols(filesystem)):
        filesystem.pipe_file(place, content)
        return
    is_local = "file" in protocols(filesystem)
    filesystem.makedirs(place.rpartition("/")[0], exist_ok=True)
    part = f"{place}.{uuid4().hex}{PART}"
    try:
        with filesystem.open(part, "wb") as file:
            file.write(content)
            file.flush()
            if is_local:
                # Without this, a machine that goes down may leave a file of the right size without its bytes.
                os.fsync(file.fileno())
        if is_local:
            Path(part).replace(place)
        else:
            _replace(filesystem, part, place)
    except BaseException:
        # The cause that stopped the writing may stop this as well; the user has to know the first error.
        with suppress(Exception):
            filesystem.rm_file(part)
        raise


def _replace(filesystem: Any, part: str, place: str) -> None:
    try:
        filesystem.mv(part, place)
    # Some file systems do not rename over a file, and each says so in its own way.
    except Exception:
        if size_of(filesystem, place) is None:
            raise
        filesystem.rm_file(place)
        filesystem.mv(part, place)
