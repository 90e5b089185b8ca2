"""The state topic of the unit tests: what is written comes to the mirror, message by message or at once."""

from __future__ import annotations

from collections.abc import Iterable

from confluent_kafka import KafkaException

from model_serving.server.entries import Entry, Key, Part, decode_part, encode_parts
from model_serving.server.mirror import Mirror

__all__ = ["FakeSender", "StateLog"]


class StateLog:
    """Writes entries, which reach the mirror at once; ``offset`` is that of the next message."""

    def __init__(self, mirror: Mirror) -> None:
        self.mirror = mirror
        self.offset = 0

    def write(self, *entries: Entry) -> int:
        """Writes the entries in one go. Returns the offset of the first message."""
        first = self.offset
        self.apply([part for entry in entries for part in parts_of(entry)])
        return first

    def put(self, key: Key, value: bytes | None) -> int:
        """Writes one entry."""
        return self.write(Entry(key, value))

    def apply(self, parts: Iterable[Part]) -> None:
        """Brings parts to the mirror."""
        numbered = list(enumerate(parts, start=self.offset))
        self.offset += len(numbered)
        self.mirror.apply(numbered, {0: self.offset})


def parts_of(entry: Entry) -> list[Part]:
    """The parts of an entry."""
    return [part for part in (decode_part(*message) for message in encode_parts(entry)) if part is not None]


class FakeSender:
    """See ``StateSender``. ``broken`` refuses everything; ``is_slow``: Kafka takes nothing."""

    def __init__(self, log: StateLog | None = None) -> None:
        self.sent: list[Entry] = []
        self.broken: KafkaException | None = None
        self.is_slow = False
        self._log = log

    def send(self, entries: Iterable[Entry]) -> None:
        if self.broken is not None:
            raise self.broken
        for entry in entries:
            self.sent.append(entry)
            if self._log is not None:
                self._log.write(entry)

    def flush(self, timeout_s: float) -> bool:
        return not self.is_slow
