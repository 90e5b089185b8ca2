"""How far the records of each partition have been served."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from confluent_kafka import Message, TopicPartition

__all__ = ["Progress"]

# Mapped over whole batches: a call from Python for each record would cost more than scoring it.
_PARTITION, _OFFSET = Message.partition, Message.offset


class Progress:
    """The offsets to commit: of records that were served, not of those that the client has given out.

    Those differ inside of a round: the client counts a batch when it gives it out, and a commit may come
    before the batch has been served, in a rebalance for example.
    """

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._next: dict[int, int] = {}

    def served(self, messages: Sequence[Message]) -> None:
        """These records, in the order in which they came, have been served and their output written."""
        places = set(map(_PARTITION, messages))
        if len(places) == 1:
            # Mostly they are of one partition, and then the last one says it all.
            latest = {places.pop(): messages[-1].offset()}
        else:
            latest = dict(zip(map(_PARTITION, messages), map(_OFFSET, messages), strict=True))
        self._next.update({int(place or 0): int(offset or 0) + 1 for place, offset in latest.items()})

    def went(self, partitions: Collection[int]) -> None:
        """Others read these partitions now."""
        for partition in partitions:
            self._next.pop(partition, None)

    def next_offset(self, partition: int) -> int:
        """The offset after the last record that was served; 0 if none was."""
        return self._next.get(partition, 0)

    def places(self) -> list[TopicPartition]:
        """What to commit."""
        return [TopicPartition(self._topic, *place) for place in sorted(self._next.items())]
