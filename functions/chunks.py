"""Takes large model messages from operator to operator, and into state, in chunks.

Whatever crosses between Java and Python is copied with Python's lock held, and Flink copies it several times
more. What is large is also new memory at each copy, which the operating system has to give page by page,
work for Java's collector, and beyond 5 MB a temporary file in Flink's network stack. Meanwhile no record is
scored.
"""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["CHUNK_BYTES", "Arrivals", "chunks_of"]

CHUNK_BYTES = 512 << 10
"""The largest size of a chunk in bytes."""


def chunks_of(payload: bytes) -> Iterator[tuple[bytes, int]]:
    """The chunks of a message in their order, each with the number of those that follow; at least one."""
    last = max(len(payload) - 1, 0) // CHUNK_BYTES
    for number in range(last + 1):
        yield payload[number * CHUNK_BYTES : (number + 1) * CHUNK_BYTES], last - number


class Arrivals:
    """Puts messages together again.

    The chunks of a message come one after the other from one element of one operator, so no checkpoint's
    barrier comes between them: they need not be in state. This does not hold for unaligned checkpoints, which
    the jobs turn off.
    """

    def __init__(self) -> None:
        self._begun: dict[str, list[bytes]] = {}

    def add(self, data_type: str, chunk: bytes, following: int) -> bytes | None:
        """Takes the next chunk of a data type's message; the whole message if it is the last one."""
        chunks = self._begun.setdefault(data_type, [])
        chunks.append(chunk)
        if following:
            return None
        del self._begun[data_type]
        return b"".join(chunks)  # of one chunk: the chunk itself, not a copy
