"""The partitions of the data topic that the group has given to this member, and the records in them."""

from __future__ import annotations

from collections.abc import Callable, Collection

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from model_serving.messaging.connection import passes
from model_serving.server.errors import Fenced, Interrupted
from model_serving.server.mirror import Mirror
from model_serving.server.ports import EndOffsets
from model_serving.server.state_topic import PARTITIONS

__all__ = ["Partitions"]

_IDLE_S = 0.02

_SOON_S = 0.2
"""How long to wait for the state of partitions that come, before they are paused until it is there.

The client may begin to fetch a partition as late as a second after it was paused and resumed.
"""

# Mapped over a batch: a method call from Python for each record would cost more than scoring it.
_ERROR = Message.error

_PASSING_HERE = {
    KafkaError._MAX_POLL_EXCEEDED,  # noqa: SLF001 - its public name
    KafkaError.UNKNOWN_TOPIC_OR_PART,
}


class Partitions:
    """Reads records. Call ``start`` once; then in each round ``arrived`` and ``read``.

    A partition that comes is not read until the mirror has what the member before has written about it:
    ``arrived`` returns it then, once. ``goes`` is called before partitions go, and ``went`` when they have
    gone; both are called inside of ``read``, and before records of other partitions are returned.
    """

    def __init__(
        self,
        consumer: Consumer,
        topic: str,
        mirror: Mirror,
        ends: EndOffsets,
        state_topic: str,
        goes: Callable[[], None],
        went: Callable[[Collection[int]], None],
    ) -> None:
        self._consumer = consumer
        self._topic = topic
        self._mirror = mirror
        self._ends = ends
        self._state_topic = state_topic
        self._goes_first = goes
        self._went = went
        self._mine: set[int] = set()
        # Partitions that came, until the mirror has what was written before they came.
        self._arriving: dict[int, dict[int, int]] = {}
        # Also partitions that went since: the client may remember that they were paused.
        self._paused: set[int] = set()
        self._reached: dict[int, int] = {}
        self._has_joined = False
        self._rebalanced = False
        self._held_back = False
        self._failure: Fenced | Interrupted | None = None

    @property
    def mine(self) -> frozenset[int]:
        """The partitions that this member reads now."""
        return frozenset(self._mine)

    @property
    def has_joined(self) -> bool:
        """Whether the group has let this member in; it may have given it no partition."""
        return self._has_joined

    @property
    def are_known(self) -> bool:
        """Whether the group has let this member in, and the state of all its partitions is known."""
        return self._has_joined and not self._arriving

    def reached(self, partition: int) -> int:
        """The offset where the last end of the partition was met; 0 if none was. For bounded runs."""
        return self._reached.get(partition, 0)

    def start(self) -> None:
        """Joins the group of the members."""
        self._consumer.subscribe(
            [self._topic], on_assign=self._came, on_revoke=self._goes, on_lost=self._lost_to_others
        )

    def join_anew(self) -> None:
        """Leaves the group and joins it again, so that it shares the partitions anew."""
        self._has_joined = False
        self._consumer.unsubscribe()
        self.start()

    def check(self) -> None:
        """Raises what a callback of the client could not raise.

        Raises:
            Interrupted: begin again from what is committed.
            Fenced: another process has this one's name.
        """
        if self._failure is not None:
            raise self._failure

    def arrived(self) -> list[int]:
        """The partitions whose state has become known; their records are read from now on."""
        if not self._arriving:
            return []
        ready = [place for place, target in self._arriving.items() if self._mirror.has_reached(target)]
        for place in ready:
            del self._arriving[place]
        if not self._held_back:
            self._resume(self._paused.intersection(ready))
        return ready

    def hold_back(self, hold: bool) -> None:
        """Reads nothing more, or goes on reading."""
        if hold == self._held_back:
            return
        self._held_back = hold
        places = self._mine - self._arriving.keys()
        if hold:
            self._pause(places)
        else:
            self._resume(self._paused & places)

    def read(self, most: int) -> list[Message]:
        """The records that are there, at most ``most``; waits a moment for the first one.

        Raises:
            Interrupted: the topic cannot be read, or this member has lost its partitions.
            Fenced: another process has this one's name.
        """
        self._rebalanced = False
        messages = self._gathered(most)
        if self._rebalanced:
            # The client may have gathered some of them before it gave their partition to somebody else.
            messages = [message for message in messages if message.partition() in self._mine]
        self.check()
        return self._without_errors(messages) if any(map(_ERROR, messages)) else messages

    def _gathered(self, most: int) -> list[Message]:
        messages: list[Message] = self._consumer.consume(most, 0)
        if not messages:
            messages = self._consumer.consume(1, _IDLE_S)
            if messages and most > 1:
                # Others came with it: alone, it would cost as much as all of them together.
                messages += self._consumer.consume(most - 1, 0)
        return messages

    def _without_errors(self, messages: list[Message]) -> list[Message]:
        whole = []
        for message in messages:
            error = message.error()
            if error is None:
                whole.append(message)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                self._reached[int(message.partition() or 0)] = int(message.offset() or 0)
            elif error.code() == KafkaError.FENCED_INSTANCE_ID:
                raise Fenced(error.str())
            elif not passes(error) and error.code() not in _PASSING_HERE:
                raise Interrupted(f"the topic '{self._topic}' cannot be read ({error.str()})")
        return whole

    def _came(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        self._has_joined = True
        if not places:
            return
        # What the member before has written about these partitions must be known here before their records.
        try:
            target = self._ends.of(self._state_topic, range(PARTITIONS))
        except KafkaException as error:
            self._failure = Interrupted(f"the end of the state topic is not known ({error.args[0].str()})")
            consumer.incremental_assign(places)
            consumer.pause(places)
            return
        is_known = self._mirror.wait_until(target, timeout_s=_SOON_S)
        consumer.incremental_assign(places)
        came = {place.partition for place in places}
        self._mine |= came
        self._arriving |= dict.fromkeys(came, target)
        if self._held_back or not is_known:
            self._pause(came)

    def _pause(self, places: Collection[int]) -> None:
        self._paused.update(places)
        self._consumer.pause([TopicPartition(self._topic, place) for place in places])

    def _resume(self, places: Collection[int]) -> None:
        """Reads on; only what was paused, because the client drops what it has fetched so far."""
        if places:
            self._paused.difference_update(places)
            self._consumer.resume([TopicPartition(self._topic, place) for place in places])

    def _goes(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        try:
            # Not after a loss: then what is open is of partitions that others have read again already.
            if self._failure is None:
                self._goes_first()
        except (Fenced, Interrupted) as error:
            # An error that left this callback would leave the client waiting for ever, for the unassignment.
            self._failure = error
        self._lost(consumer, places)

    def _lost_to_others(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        # Others have read these records again already: what is open must not be committed.
        self._failure = Interrupted("Kafka took this member for dead and gave its partitions to others")
        self._lost(consumer, places)

    def _lost(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        gone = {place.partition for place in places}
        self._went(gone)
        self._rebalanced = True
        self._mine -= gone
        for place in gone:
            self._arriving.pop(place, None)
            self._reached.pop(place, None)
        consumer.incremental_unassign(places)
