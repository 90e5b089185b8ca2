"""What the parts of the server ask of the state topic, so that tests can stand in for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from model_serving.server.entries import Entry

__all__ = ["EndOffsets", "EntrySender"]


class EntrySender(Protocol):
    """Writes entries of the state topic outside of transactions. Safe to use from several threads."""

    def send(self, entries: Iterable[Entry]) -> None:
        """Queues the messages of the entries.

        Raises:
            KafkaException: an earlier message was not delivered.
        """
        ...

    def flush(self, timeout_s: float) -> bool:
        """Waits until everything is delivered; whether it is."""
        ...


class EndOffsets(Protocol):
    """Asks for the ends of topics, as they are now."""

    def of(self, topic: str, partitions: Iterable[int]) -> dict[int, int]:
        """The offset after the last message of each partition, open transactions included.

        Raises:
            KafkaException: Kafka does not answer.
        """
        ...
