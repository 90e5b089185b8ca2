"""Lists the checkpoints and savepoints in a job's ``--checkpoint-dir``, and checks that it is writable."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

__all__ = ["RetainedCheckpoint", "retained_checkpoints", "why_not_writable"]

# Flink writes this file last. A folder without it belongs to a checkpoint that was never completed.
_METADATA = "_metadata"
_TRIED_BYTES = 65536
_CHECKPOINT = re.compile(r"(?:^|/)(?P<job>[0-9a-f]{32})/chk-(?P<number>\d+)$")


@dataclass(frozen=True, slots=True)
class RetainedCheckpoint:
    """A completed checkpoint or savepoint. ``flink run -s`` takes its ``path``.

    ``job`` is the id of the job that made a checkpoint, and ``number`` its number; both are None for a
    savepoint. ``written_s`` is the time when it was completed, in seconds since 1970.
    """

    path: str
    written_s: float
    job: str | None = None
    number: int | None = None


def retained_checkpoints(folder: str) -> list[RetainedCheckpoint]:
    """Returns the complete ones below ``folder``, a path or a URL that fsspec opens, the newest first.

    Raises:
        OSError: the folder cannot be read.
        ImportError, ValueError: fsspec cannot open this kind of URL here.
    """
    from fsspec.core import url_to_fs

    files, root = url_to_fs(folder)
    found = []
    for pattern in (f"{root}/*/chk-*/{_METADATA}", f"{root}/savepoint-*/{_METADATA}"):
        for path, details in files.glob(pattern, detail=True).items():
            place = path.removesuffix(f"/{_METADATA}")
            made = _CHECKPOINT.search(place)
            found.append(
                RetainedCheckpoint(
                    # A path for a path, and a URL for a URL, as the user wrote them.
                    path=files.unstrip_protocol(place) if "://" in folder else place,
                    written_s=_written_s(details),
                    job=made["job"] if made else None,
                    number=int(made["number"]) if made else None,
                )
            )
    return sorted(found, key=lambda one: (one.written_s, one.number or 0), reverse=True)


def why_not_writable(folder: str) -> str | None:
    """Returns the error of writing a file below ``folder``, None if it works or fsspec cannot open it."""
    from fsspec.core import url_to_fs

    try:
        files, root = url_to_fs(folder)
    except (OSError, ImportError, ValueError):
        return None
    tried = f"{root}/.tried-{uuid4().hex}"
    try:
        files.makedirs(root, exist_ok=True)
        try:
            files.pipe_file(tried, b"\0" * _TRIED_BYTES)
        finally:
            if files.exists(tried):
                files.rm_file(tried)
    except OSError as error:
        return error.strerror or str(error)
    return None


def _written_s(details: Mapping[str, Any]) -> float:
    for name in ("mtime", "LastModified", "last_modified", "updated", "created"):
        value = details.get(name)
        if isinstance(value, int | float):
            return float(value)
        if isinstance(value, datetime):
            return value.timestamp()
    return 0.0
