"""What the driver knows after a restart: one file that each commit replaces, and files for large values.

The file ``state.json`` has the positions in the models topic and every value that is small. A large value is
a file in ``bodies/``, named by its SHA-256. A body is written before the state that refers to it, and deleted
after the state that does not any more. So a restart finds every value of one commit, whenever the driver was
killed.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from model_serving.core.errors import IncompatibleState
from model_serving.core.model_store import StoreFailed
from model_serving.stores.folders import Folder

__all__ = ["DriverState", "Key", "Kind"]

_NAME = "state.json"
_BODIES = "bodies"
_SCHEMA_VERSION = 1
_INLINE_BYTES = 2048


class Kind(StrEnum):
    """What an entry is."""

    HISTORY = "history"
    KEPT = "kept"
    PENDING = "pending"
    ORDER = "order"
    """The activation of a data type that was carried out last."""
    COMING = "coming"
    """An activation that worker processes get ready for."""
    WAITING = "waiting"


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """The key of an entry. ``item`` tells the entries of one kind and data type apart."""

    kind: Kind
    data_type: str
    item: str = ""


@dataclass(frozen=True, slots=True)
class _Body:
    """A value in a file."""

    digest: str


class DriverState:
    """Entries by key, positions by partition of the models topic, and statuses that may not be written yet.

    ``run`` names the first start from this folder; models in the store are kept under it. Changes are seen at
    once and are kept by ``commit``. One thread uses it.
    """

    def __init__(self, folder: Folder, run: str) -> None:
        """Reads the state in the folder; ``run`` is the name if there is none yet.

        Raises:
            StoreFailed: the folder cannot be read.
            IncompatibleState: a newer version of this software wrote the state.
        """
        self._folder = folder
        saved = folder.read(_NAME)
        found: dict[str, Any] = {} if saved is None else json.loads(saved)
        if found.get("schema", 0) > _SCHEMA_VERSION:
            raise IncompatibleState("the state of the models", found["schema"], _SCHEMA_VERSION)
        self.has_changed = saved is None
        """Whether something is to be committed, positions apart."""
        self.run: str = found.get("run", run)
        self.positions = {int(place): int(offset) for place, offset in found.get("positions", {}).items()}
        self.unsent = [base64.b64decode(text) for text in found.get("unsent", ())]
        self._entries: dict[Key, bytes | _Body] = {
            Key(Kind(kind), data_type, item): _Body(digest) if digest else base64.b64decode(text)
            for kind, data_type, item, text, digest in found.get("entries", ())
        }
        self._bodies = self._referred()
        # Bodies of a commit that was not made.
        for name in folder.names(_BODIES):
            if name not in self._bodies:
                folder.delete(f"{_BODIES}/{name}")

    def get(self, key: Key) -> bytes | None:
        """The value of an entry; None if there is none.

        Raises:
            StoreFailed: the file of the value cannot be read.
        """
        value = self._entries.get(key)
        if not isinstance(value, _Body):
            return value
        content = self._folder.read(f"{_BODIES}/{value.digest}")
        if content is None:
            raise StoreFailed(
                f"the folder {self._folder} lacks the file {_BODIES}/{value.digest}, to which the "
                "state refers: put it back, or start with another --checkpoint-dir and publish the models "
                "again"
            )
        return content

    def put(self, key: Key, value: bytes) -> None:
        """Writes an entry.

        Raises:
            StoreFailed: the file of a large value cannot be written.
        """
        self.has_changed = True
        if len(value) <= _INLINE_BYTES:
            self._entries[key] = value
            return
        digest = hashlib.sha256(value).hexdigest()
        self._folder.write(f"{_BODIES}/{digest}", value)
        self._bodies.add(digest)
        self._entries[key] = _Body(digest)

    def delete(self, key: Key) -> None:
        """Deletes an entry, if there is one."""
        self.has_changed = self._entries.pop(key, None) is not None or self.has_changed

    def keys(self, kind: Kind, data_type: str | None = None) -> list[Key]:
        """The keys of a kind, or of a kind and data type."""
        return [key for key in self._entries if key.kind is kind and data_type in (None, key.data_type)]

    def commit(self, unsent: Sequence[bytes] = ()) -> None:
        """Keeps all changes. ``unsent`` are statuses that are written to their topic afterwards.

        Raises:
            StoreFailed: the state is not written; what was kept before still is.
        """
        self.unsent = list(unsent)
        self._folder.write(_NAME, self._encoded())
        self.has_changed = False
        referred = self._referred()
        for digest in self._bodies - referred:
            self._folder.delete(f"{_BODIES}/{digest}")
        self._bodies = referred

    def _referred(self) -> set[str]:
        return {value.digest for value in self._entries.values() if isinstance(value, _Body)}

    def _encoded(self) -> bytes:
        entries = [
            [
                key.kind,
                key.data_type,
                key.item,
                *(("", value.digest) if isinstance(value, _Body) else (_text(value), "")),
            ]
            for key, value in self._entries.items()
        ]
        return json.dumps(
            {
                "schema": _SCHEMA_VERSION,
                "run": self.run,
                "positions": {str(place): offset for place, offset in self.positions.items()},
                "unsent": [_text(status) for status in self.unsent],
                "entries": entries,
            }
        ).encode()


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()
