"""Output that has to wait for its transaction, because the one before is being committed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from model_serving.server.entries import Entry

__all__ = ["Held", "Messages"]

_MOST_BYTES = 32 << 20
_EACH_BYTES = 64
"""What Python needs for a message beside its bytes, about."""


@dataclass(frozen=True, slots=True)
class Messages:
    """Messages for a topic."""

    topic: str
    messages: Sequence[bytes]


class Held:
    """Messages and state entries in the order in which they were made, up to a number of bytes."""

    def __init__(self) -> None:
        self._queue: list[Messages | Sequence[Entry]] = []
        self._bytes = 0

    def __bool__(self) -> bool:
        return bool(self._queue)

    @property
    def is_full(self) -> bool:
        """Whether no more should be added."""
        return self._bytes >= _MOST_BYTES

    def add_messages(self, topic: str, messages: Sequence[bytes]) -> None:
        """Adds messages for a topic; the sequence must not change any more."""
        self._queue.append(Messages(topic, messages))
        self._bytes += sum(map(len, messages)) + _EACH_BYTES * len(messages)

    def add_entries(self, entries: Sequence[Entry]) -> None:
        """Adds entries for the state topic; the sequence must not change any more."""
        self._queue.append(entries)
        self._bytes += sum(_EACH_BYTES + len(entry.value or b"") for entry in entries)

    def take(self) -> list[Messages | Sequence[Entry]]:
        """Removes everything and returns it, in its order."""
        taken, self._queue, self._bytes = self._queue, [], 0
        return taken
