"""A state in files that appear whole or not at all: the whole state now and then, and each change since.

``state.json`` has the whole state. Each commit writes its changes alone, as a file in ``changes/`` with the
next number, so that a commit costs no more where there are many data types. Once the changes are as large as
the whole state, or many, the commit writes the whole state instead, and the changes are deleted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from model_serving.core.errors import IncompatibleState
from model_serving.core.model_store import StoreFailed
from model_serving.stores.folders import Folder

__all__ = ["StateLog"]

_WHOLE = "state.json"
_CHANGES = "changes"
_NUMBER = "changes"
"""The number of the last change that the whole state has in it. The first schema had no changes."""

_SCHEMA_VERSION = 2
_LEAST_BYTES = 64 * 1024
"""Up to here, changes may be larger than the whole state."""

_MOST = 200
"""The most changes, because a start in an object store takes a request for each."""


class StateLog:
    """Reads and writes the files. Call ``read`` first, once; one process writes."""

    def __init__(self, folder: Folder) -> None:
        """Reads nothing yet."""
        self._folder = folder
        self._last = self._first = 0
        """The numbers of the last change, and of the last one that the whole state has in it."""
        self._whole_bytes: int | None = None
        self._changed_bytes = 0

    def read(self) -> list[dict[str, Any]]:
        """The whole state, then each change since, in order; empty if nothing was committed yet.

        Raises:
            StoreFailed: the folder cannot be read, or a file is missing.
            IncompatibleState: a newer version of this software wrote the state.
        """
        whole = self._folder.read(_WHOLE)
        if whole is None:
            return []
        found = [_decoded(whole)]
        # An older version of this software would miss the changes; it refuses a whole state of this one.
        is_current = found[0].get("schema") == _SCHEMA_VERSION
        self._whole_bytes, self._first = len(whole) if is_current else None, int(found[0].get(_NUMBER, 0))
        self._last = self._first
        for name in self._folder.names(_CHANGES):
            if int(name) <= self._first:
                # The whole state has it; the process was killed before it was deleted.
                self._folder.delete(f"{_CHANGES}/{name}")
                continue
            content = self._folder.read(f"{_CHANGES}/{name}")
            if int(name) != self._last + 1 or content is None:
                raise StoreFailed(
                    f"the folder {self._folder} lacks the file {_CHANGES}/{_name(self._last + 1)}: put it "
                    "back, or start with another --checkpoint-dir and publish the models again"
                )
            found.append(_decoded(content))
            self._last += 1
            self._changed_bytes += len(content)
        return found

    def commit(self, change: Mapping[str, Any], whole: Callable[[], Mapping[str, Any]]) -> None:
        """Writes the change, or the whole state that it leads to.

        Raises:
            StoreFailed: nothing is written; what was kept before still is.
        """
        content = _encoded(change)
        if self._wants_whole(len(content)):
            self._write_whole(whole())
            return
        self._folder.write(f"{_CHANGES}/{_name(self._last + 1)}", content)
        self._last += 1
        self._changed_bytes += len(content)

    def _wants_whole(self, more_bytes: int) -> bool:
        if self._whole_bytes is None:
            return True
        changed_bytes = self._changed_bytes + more_bytes
        return changed_bytes > max(_LEAST_BYTES, self._whole_bytes) or self._last - self._first >= _MOST

    def _write_whole(self, whole: Mapping[str, Any]) -> None:
        content = _encoded({**whole, _NUMBER: self._last})
        self._folder.write(_WHOLE, content)
        for number in range(self._first + 1, self._last + 1):
            self._folder.delete(f"{_CHANGES}/{_name(number)}")
        self._whole_bytes, self._changed_bytes, self._first = len(content), 0, self._last


def _name(number: int) -> str:
    return f"{number:016d}"


def _encoded(content: Mapping[str, Any]) -> bytes:
    return json.dumps({"schema": _SCHEMA_VERSION, **content}).encode()


def _decoded(content: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(content)
    if found.get("schema", 0) > _SCHEMA_VERSION:
        raise IncompatibleState("the state of the models", found["schema"], _SCHEMA_VERSION)
    return found
