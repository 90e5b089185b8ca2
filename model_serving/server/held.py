"""Output that has to wait for its transaction, because the one before is being committed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from model_serving.server.entries import Entry

__all__ = ["Held", "Messages", "Output"]

_MOST_BYTES = 32 << 20
_EACH_BYTES = 64
"""What Python needs for a message beside its bytes, about."""


@dataclass(frozen=True, slots=True)
class Messages:
    """Messages for a topic."""

    topic: str
    messages: Sequence[bytes]


Output: TypeAlias = Messages | Sequence[Entry]
"""Messages for a topic, or entries for the state topic. It must not change any more."""


class Held:
    """Output in the order in which it was made, up to a number of bytes."""

    def __init__(self) -> None:
        self._queue: list[Output] = []
        self._bytes = 0

    def __bool__(self) -> bool:
        return bool(self._queue)

    @property
    def is_full(self) -> bool:
        """Whether no more should be added."""
        return self._bytes >= _MOST_BYTES

    def add(self, output: Output) -> None:
        """Adds output behind what is there."""
        self._queue.append(output)
        if isinstance(output, Messages):
            self._bytes += sum(map(len, output.messages)) + _EACH_BYTES * len(output.messages)
        else:
            self._bytes += sum(_EACH_BYTES + len(entry.value or b"") for entry in output)

    def take(self) -> list[Output]:
        """Removes everything and returns it, in its order."""
        taken, self._queue, self._bytes = self._queue, [], 0
        return taken
