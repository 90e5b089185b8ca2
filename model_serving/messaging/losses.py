"""Which messages of a Kafka client did not arrive."""

from __future__ import annotations

from confluent_kafka import KafkaError, Message

__all__ = ["Losses"]

_PURGED = {KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT}  # noqa: SLF001 - their public names
"""What becomes of the messages of a transaction that has failed: its commit says why."""


class Losses:
    """The first error of a message that was not delivered. A client gets ``note`` as its ``on_delivery``.

    Whoever writes with the client asks here. Its own method must not be ``on_delivery``: then client and
    writer would hold each other, and the client's threads would go on until Python looks for such cycles.
    """

    def __init__(self) -> None:
        self.first: KafkaError | None = None

    def note(self, error: KafkaError | None, _message: Message) -> None:
        """Takes what became of a message; without an error it has arrived."""
        if error is not None and self.first is None and error.code() not in _PURGED:
            self.first = error
