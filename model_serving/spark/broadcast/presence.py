"""Which worker processes are there, and what they have loaded: a small file that each of them keeps fresh."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection

from model_serving.core.clock import Clock
from model_serving.stores.folders import Folder

__all__ = ["Presence", "Workers", "mark_of"]

_FOLDER = "workers"
_FRESHEN_MS = 500
_GONE_MS = 1_500
"""A process that has not freshened its file for so long is gone, or its machine is too busy to wait for."""


def mark_of(order: bytes) -> str:
    """What stands for an activation in the files."""
    return hashlib.sha256(order).hexdigest()[:16]


class Presence:
    """The file of one worker process."""

    def __init__(self, folder: Folder, name: str, clock: Clock) -> None:
        """``name`` differs between processes."""
        self._folder = folder
        self._name = name
        self._clock = clock
        self._loaded: frozenset[str] | None = None
        self._written_ms = 0

    def say(self, loaded: Collection[str]) -> None:
        """Says that the process is there, and the marks of the coming activations that it is ready for.

        Raises:
            StoreFailed: the file cannot be written.
        """
        now_ms, marks = self._clock.epoch_ms(), frozenset(loaded)
        if marks == self._loaded and now_ms - self._written_ms < _FRESHEN_MS:
            return
        content = json.dumps({"ms": now_ms, "loaded": sorted(marks)}).encode()
        self._folder.write(f"{_FOLDER}/{self._name}", content)
        self._loaded, self._written_ms = marks, now_ms


class Workers:
    """All worker processes, as the driver sees them."""

    def __init__(self, folder: Folder, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock

    def forget(self) -> None:
        """Forgets all: those of an earlier start are gone.

        Raises:
            StoreFailed: the folder cannot be read.
        """
        for name in self._folder.names(_FOLDER):
            self._folder.delete(f"{_FOLDER}/{name}")

    def are_ready(self, order: bytes) -> bool:
        """Whether every process that is there is ready for an activation; True if none is there.

        Raises:
            StoreFailed: the folder cannot be read.
        """
        oldest_ms, mark = self._clock.epoch_ms() - _GONE_MS, mark_of(order)
        for name in self._folder.names(_FOLDER):
            content = self._folder.read(f"{_FOLDER}/{name}")
            if content is None:
                continue
            said = json.loads(content)
            if said["ms"] < oldest_ms:
                self._folder.delete(f"{_FOLDER}/{name}")
            elif mark not in said["loaded"]:
                return False
        return True
