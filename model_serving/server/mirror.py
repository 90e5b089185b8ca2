"""A copy of the state topic on the local disk, which the threads of a process share."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from model_serving.server.entries import Key, Kind, Part

__all__ = ["Change", "Mirror"]

_TABLE = """
CREATE TABLE parts (
  kind TEXT, data_type TEXT, item TEXT, number INTEGER, count INTEGER, digest BLOB, log_offset INTEGER,
  data BLOB, PRIMARY KEY (kind, data_type, item, number)
) WITHOUT ROWID
"""
_CACHE_KIB = 16_384


@dataclass(frozen=True, slots=True)
class Change:
    """An entry has got a new value, or was deleted; ``offset`` is that of its last message.

    ``value`` is the new value if it came in one message; None if the entry was deleted or is larger.
    """

    key: Key
    offset: int
    value: bytes | None


class Mirror:
    """The entries of the state topic up to a position. Safe to use from several threads.

    The data is in a temporary database, which SQLite keeps on disk as far as it is larger than its cache,
    and deletes when the process ends. So a process with ten thousand models needs little memory.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute(_TABLE)
        self.changed = threading.Condition(threading.RLock())
        self._positions: dict[int, int] = {}
        self._listeners: list[Callable[[list[Change]], None]] = []

    def listen(self, listener: Callable[[list[Change]], None]) -> None:
        """Calls the listener with the changes after they were applied, in their order."""
        with self.changed:
            self._listeners.append(listener)

    def forget(self, listener: Callable[[list[Change]], None]) -> None:
        """Does not call the listener any more."""
        with self.changed:
            self._listeners.remove(listener)

    def apply(self, parts: Iterable[tuple[int, Part]], positions: Mapping[int, int]) -> None:
        """Applies messages with their offsets; ``positions`` are the offsets to read next, by partition."""
        changes = []
        with self.changed:
            self._database.execute("BEGIN")
            for offset, part in parts:
                if self._write(offset, part):
                    changes.append(Change(part.key, offset, part.data if part.count == 1 else None))
            self._database.execute("COMMIT")
            self._positions.update(positions)
            for listener in self._listeners:
                listener(changes)
            self.changed.notify_all()

    def has_reached(self, positions: Mapping[int, int]) -> bool:
        """Whether everything before these positions, by partition, has been applied."""
        with self.changed:
            return all(self._positions.get(place, -1) >= end for place, end in positions.items())

    def wait_until(self, positions: Mapping[int, int], *, timeout_s: float) -> bool:
        """Waits until everything before these positions has been applied; False if that takes too long."""
        end_s = time.monotonic() + timeout_s
        with self.changed:
            while not self.has_reached(positions):
                if not self.changed.wait(end_s - time.monotonic()) and time.monotonic() >= end_s:
                    return False
        return True

    def get(self, key: Key) -> bytes | None:
        """The value of an entry; None if there is no whole value."""
        with self.changed:
            rows = self._database.execute(
                "SELECT count, digest, data FROM parts WHERE kind = ? AND data_type = ? AND item = ? "
                "ORDER BY number",
                _columns(key),
            ).fetchall()
        if not rows:
            return None
        count, digest, _ = rows[0]
        if len(rows) < count or any(row[1] != digest for row in rows[:count]):
            return None
        return b"".join(row[2] for row in rows[:count])

    def offset(self, key: Key) -> int | None:
        """The offset of the entry's first message; None if there is none."""
        with self.changed:
            row = self._database.execute(
                "SELECT log_offset FROM parts WHERE kind = ? AND data_type = ? AND item = ? AND number = 0",
                _columns(key),
            ).fetchone()
        return None if row is None else int(row[0])

    def parts(self, key: Key) -> int:
        """How many parts the entry has."""
        with self.changed:
            (count,) = self._database.execute(
                "SELECT count(*) FROM parts WHERE kind = ? AND data_type = ? AND item = ?", _columns(key)
            ).fetchone()
        return int(count)

    def keys(self, kind: Kind, data_type: str | None = None) -> list[Key]:
        """The keys of a kind, or of a kind and data type, in no particular order."""
        query, values = "SELECT data_type, item FROM parts WHERE kind = ? AND number = 0", [kind.value]
        if data_type is not None:
            query, values = query + " AND data_type = ?", [*values, data_type]
        with self.changed:
            rows = self._database.execute(query, values).fetchall()
        return [Key(kind, *row) for row in rows]

    def close(self) -> None:
        """Deletes the copy."""
        with self.changed:
            self._database.close()

    def _write(self, offset: int, part: Part) -> bool:
        """Writes one part; whether the entry has changed with it."""
        columns = _columns(part.key)
        if part.data is None:
            self._database.execute(
                "DELETE FROM parts WHERE kind = ? AND data_type = ? AND item = ? AND number = ?",
                (*columns, part.number),
            )
            return part.number == 0
        self._database.execute(
            "INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*columns, part.number, part.count, part.digest, offset, part.data),
        )
        return part.number == part.count - 1


def _columns(key: Key) -> tuple[str, str, str]:
    return key.kind.value, key.data_type, key.item
