"""What the driver knows after a restart: its entries in a log of changes, and files for large values.

The log (``state_log``) has the positions in the models topic and every value that is small. A large value is
a file in ``bodies/``, named by its SHA-256. A body is written before the commit that refers to it, and
deleted after the commit that does not any more. So a restart finds every value of one commit, whenever the
driver was killed.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from model_serving.core.model_store import StoreFailed
from model_serving.spark.broadcast.state_log import StateLog
from model_serving.stores.folders import Folder

__all__ = ["DriverState", "Key", "Kind"]

_BODIES = "bodies"
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
        self._log = StateLog(folder)
        self.run = run
        self.positions: dict[int, int] = {}
        self.unsent: list[bytes] = []
        # Kind → data type → item → value.
        self._entries: dict[Kind, dict[str, dict[str, bytes | _Body]]] = {kind: {} for kind in Kind}
        self._changed: set[Key] = set()
        # How many entries refer to each body, and the bodies to which none did at some time.
        self._references: Counter[str] = Counter()
        self._released: set[str] = set()
        self._is_given_up = False
        self.has_changed = False
        """Whether something is to be committed, positions apart."""
        saved = self._log.read()
        for part in saved:
            self._take(part)
        self.has_changed = not saved
        self._changed.clear()
        self._released.clear()
        # Bodies of a commit that was not made, or that were not deleted.
        for name in folder.names(_BODIES):
            if not self._references[name]:
                folder.delete(f"{_BODIES}/{name}")

    def get(self, key: Key) -> bytes | None:
        """The value of an entry; None if there is none.

        Raises:
            StoreFailed: the file of the value cannot be read.
        """
        value = self._entries[key.kind].get(key.data_type, {}).get(key.item)
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
        if len(value) <= _INLINE_BYTES:
            self._set(key, value)
            return
        digest = hashlib.sha256(value).hexdigest()
        self._folder.write(f"{_BODIES}/{digest}", value)
        self._set(key, _Body(digest))

    def delete(self, key: Key) -> None:
        """Deletes an entry, if there is one."""
        if key.item in self._entries[key.kind].get(key.data_type, {}):
            self._set(key, None)

    def keys(self, kind: Kind, data_type: str | None = None) -> list[Key]:
        """The keys of a kind, or of a kind and data type."""
        of_kind = self._entries[kind]
        data_types: Iterable[str] = of_kind if data_type is None else (data_type,)
        return [Key(kind, name, item) for name in data_types for item in of_kind.get(name, ())]

    def commit(self, unsent: Sequence[bytes] = ()) -> None:
        """Keeps all changes. ``unsent`` are statuses that are written to their topic afterwards.

        Raises:
            StoreFailed: the changes are not written; what was kept before still is.
        """
        if self._is_given_up:
            raise StoreFailed("the job has started again, with another reader of the models topic")
        self.unsent = list(unsent)
        self._log.commit(self._part(self._changed), self._whole)
        self._changed.clear()
        self.has_changed = False
        for digest in self._released:
            if not self._references[digest]:
                self._folder.delete(f"{_BODIES}/{digest}")
        self._released.clear()

    def give_up(self) -> None:
        """Commits nothing more. Another thread may call it, whose successor reads the state."""
        self._is_given_up = True

    def _set(self, key: Key, value: bytes | _Body | None) -> None:
        """Sets a value; None: there is none."""
        items = self._entries[key.kind].setdefault(key.data_type, {})
        before = items.pop(key.item, None)
        if isinstance(before, _Body):
            self._references[before.digest] -= 1
            self._released.add(before.digest)
        if isinstance(value, _Body):
            self._references[value.digest] += 1
        if value is not None:
            items[key.item] = value
        elif not items:
            del self._entries[key.kind][key.data_type]
        self._changed.add(key)
        self.has_changed = True

    def _whole(self) -> Mapping[str, Any]:
        return self._part(key for kind in Kind for key in self.keys(kind))

    def _part(self, keys: Iterable[Key]) -> dict[str, Any]:
        """These entries, and all that is not an entry."""
        entries, deleted = [], []
        for key in keys:
            value = self._entries[key.kind].get(key.data_type, {}).get(key.item)
            if value is None:
                deleted.append([key.kind, key.data_type, key.item])
                continue
            content = ("", value.digest) if isinstance(value, _Body) else (_text(value), "")
            entries.append([key.kind, key.data_type, key.item, *content])
        return {
            "run": self.run,
            "positions": {str(place): offset for place, offset in self.positions.items()},
            "unsent": [_text(status) for status in self.unsent],
            "entries": entries,
            "deleted": deleted,
        }

    def _take(self, part: Mapping[str, Any]) -> None:
        """Takes what ``_part`` gave; the first schema had nothing that was deleted."""
        self.run = part["run"]
        self.positions = {int(place): int(offset) for place, offset in part["positions"].items()}
        self.unsent = [base64.b64decode(text) for text in part["unsent"]]
        for kind, data_type, item in part.get("deleted", ()):
            self._set(Key(Kind(kind), data_type, item), None)
        for kind, data_type, item, text, digest in part["entries"]:
            self._set(Key(Kind(kind), data_type, item), _Body(digest) if digest else base64.b64decode(text))


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()
