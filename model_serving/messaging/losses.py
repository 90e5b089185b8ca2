"""Which messages of a Kafka client did not arrive."""

from __future__ import annotations

from confluent_kafka import KafkaError, Message

__all__ = ["Losses"]


class Losses:
    """The first error of a message that was not delivered. A client gets ``note`` as its ``on_delivery``.

    Whoever writes with the client asks here. Its own method must not be ``on_delivery``: then client and
    writer would hold each other, and the client's threads would go on until Python looks for such cycles.
    """

    def __init__(self) -> None:
        self.first: KafkaError | None = None

    def note(self, error: KafkaError | None, _message: Message) -> None:
        """Takes what became of a message; without an error it has arrived."""
        self.first = self.first or error
