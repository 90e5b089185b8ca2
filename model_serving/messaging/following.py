"""Follows topics from their beginning for as long as the program runs, through outages of Kafka."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.connection import passes, reader_settings
from model_serving.messaging.errors import MessagingError
from model_serving.messaging.receiving import Received
from model_serving.messaging.topic_ids import TopicIds

__all__ = ["TopicFollower"]

_LOOK_EVERY_S = 3.0
_ANSWER_S = 2.0
_SILENT_AFTER_S = 10.0
_MANY = 1_000

_Place = tuple[str, int]


class TopicFollower:
    """Reads topics from their beginning; it sees only committed transactions and joins no consumer group.

    Kafka may be away at the start or later, and topics or partitions may come into being later: they are
    looked for every few seconds. Where a topic was deleted and made again, another Kafka has the address, or
    the same one has lost its data, everything is read again, and ``generation`` grows. One thread polls; the
    properties may be read from any thread.

    Args:
        kafka: the access to Kafka.
        topics: the topics' names.
        clock: seconds that only grow.

    Raises:
        MessagingError: the addresses cannot be used.
    """

    def __init__(
        self, kafka: KafkaAccess, topics: Sequence[str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._kafka = kafka
        self._topics = tuple(topics)
        self._clock = clock
        self._next_look_s = clock()
        self._cluster = ""
        self._heard_s: float | None = None
        self._positions: dict[_Place, int] = {}
        self._behind: dict[_Place, int] | None = None
        self._troubles: dict[str, str] = {}
        self._missing: tuple[str, ...] = self._topics
        self.generation = 0
        """How often everything began anew: what was read before does not hold any more."""
        try:
            self._consumer = _consumer(kafka)
            self._ids = TopicIds(kafka)
        except KafkaException as error:
            raise MessagingError(
                f"--bootstrap-servers '{kafka.bootstrap_servers}' cannot be used ({error.args[0].str()}): "
                "give host:port"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection."""
        self._consumer.close()

    @property
    def caught_up(self) -> bool:
        """Whether everything has been read that the topics held when Kafka answered first.

        After Kafka has been away, everything that they held when it was there again. Topics that do not exist
        hold nothing.
        """
        return self._behind is not None and not self._behind

    @property
    def silent_s(self) -> float | None:
        """The seconds since Kafka last answered; None if it never has."""
        return None if self._heard_s is None else self._clock() - self._heard_s

    @property
    def ready(self) -> bool:
        """Whether what was read is what the topics hold: caught up, Kafka answers, all topics can be read."""
        silent_s = self.silent_s
        return self.caught_up and silent_s is not None and silent_s < _SILENT_AFTER_S and not self._troubles

    @property
    def missing(self) -> tuple[str, ...]:
        """The topics that do not exist, as far as is known."""
        return self._missing

    @property
    def trouble(self) -> str | None:
        """One line about a topic that cannot be read; None if all can be. It is tried again and again."""
        return next(iter(self._troubles.values()), None)

    def poll(self, timeout_s: float) -> list[Received]:
        """At most 1,000 messages that have arrived; returns after ``timeout_s`` seconds or a little later."""
        if self._clock() >= self._next_look_s:
            self._next_look_s = self._clock() + _LOOK_EVERY_S
            self._look()
        try:
            messages = self._consumer.consume(_MANY, 0) or self._consumer.consume(1, timeout_s)
        except KafkaException as error:
            self._troubles[""] = f"the topics cannot be read ({error.args[0].str()}): look at Kafka"
            return []
        received = []
        for message in messages:
            place, offset = (str(message.topic()), int(message.partition() or 0)), int(message.offset() or 0)
            failure = message.error()
            at_end = failure is not None and failure.code() == KafkaError._PARTITION_EOF  # noqa: SLF001
            if failure is not None and not at_end:
                self._note(place[0], failure)
            elif offset < self._positions.get(place, 0):
                self._begin_anew()
                return []
            else:
                self._has_read(place, offset if at_end else offset + 1, at_end=at_end)
                if not at_end:
                    received.append(Received(*place, offset, message.timestamp()[1], message.value() or b""))
        return received

    def _note(self, topic: str, error: KafkaError) -> None:
        if not passes(error) and error.code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
            self._troubles[topic] = f"'{topic}' cannot be read ({error.str()}): look at Kafka"

    def _has_read(self, place: _Place, position: int, *, at_end: bool) -> None:
        self._heard_s = self._clock()
        self._positions[place] = position
        self._troubles.pop(place[0], None)
        if self._behind and (at_end or position >= self._behind.get(place, position + 1)):
            self._behind.pop(place, None)

    def _look(self) -> None:
        """Asks whether Kafka is there, and for topics and partitions that are new."""
        try:
            answer = self._consumer.list_topics(timeout=_ANSWER_S)
            found, cluster = answer.topics, answer.cluster_id or self._cluster
            known, self._cluster = self._cluster, cluster
            there = {name: found[name] for name in self._topics if name in found and not found[name].error}
            # A Kafka that was emptied may keep its id (containers are often given one), and its topics may be
            # as long as before: only their ids tell.
            if self._ids.have_changed(there) or known not in ("", cluster):
                self._begin_anew()
                return
            places = {(name, number) for name, topic in there.items() for number in topic.partitions}
            if new := sorted(places - self._positions.keys()):
                self._consumer.incremental_assign([TopicPartition(*one, OFFSET_BEGINNING) for one in new])
                self._positions |= dict.fromkeys(new, 0)
            silent_s = self.silent_s
            if self._behind is None or silent_s is None or silent_s > _SILENT_AFTER_S:
                self._behind = self._ends(places)
            self._missing = tuple(name for name in self._topics if name not in there)
            self._heard_s = self._clock()
            self._troubles.pop("", None)
        except KafkaException as error:
            if not passes(error.args[0]) and error.args[0].code() != KafkaError._TIMED_OUT:  # noqa: SLF001
                self._troubles[""] = f"Kafka refuses ({error.args[0].str()}): look at --kafka-config"

    def _begin_anew(self) -> None:
        self.generation += 1
        # A client does not believe what another Kafka says of topics that it knows: a new client does.
        self._consumer.close()
        self._consumer = _consumer(self._kafka)
        self._positions = {}
        self._behind = None
        # What could not be read was of topics that are gone.
        self._troubles = {}
        self._ids.forget()
        self._next_look_s = self._clock()

    def _ends(self, places: set[_Place]) -> dict[_Place, int]:
        """The ends of the partitions that have not been read to their present end."""
        ends = {}
        for place in sorted(places):
            low, high = self._consumer.get_watermark_offsets(TopicPartition(*place), timeout=_ANSWER_S)
            if high > max(low, self._positions.get(place, 0)):
                ends[place] = int(high)
        return ends


def _consumer(kafka: KafkaAccess) -> Consumer:
    return Consumer(
        reader_settings(kafka) | {"queued.max.messages.kbytes": 65_536, "reconnect.backoff.max.ms": 1_000}
    )
