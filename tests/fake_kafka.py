"""A Kafka in memory: logs with transactions, the offsets of groups, and clients with confluent's methods.

It has what the server uses, and no more. The test says who gets which partitions (``FakeKafka.share``), and
may have a client fail at a named point (``FakeKafka.point``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

__all__ = ["FakeConsumer", "FakeKafka", "FakeMessage", "FakeProducer", "failure"]

_Place = tuple[str, int]


def failure(code: int, *, retriable: bool = False) -> KafkaException:
    """The error of a client, with a code of ``KafkaError``."""
    return KafkaException(KafkaError(code, retriable=retriable))


@dataclass(eq=False)
class _Transaction:
    state: str = "open"


@dataclass(frozen=True, slots=True)
class FakeMessage:
    """A message in a log; ``number`` counts the messages of all topics, ``why`` is a reader's error."""

    place: _Place
    at: int
    key_bytes: bytes | None
    payload: bytes | None
    number: int = 0
    transaction: _Transaction | None = None
    why: KafkaError | None = None

    def value(self) -> bytes | None:
        """The value, None for a deletion."""
        return self.payload

    def partition(self) -> int:
        """The partition that it was written to."""
        return self.place[1]

    def read(self) -> Message:
        """The message as a consumer gives it."""
        return Message(
            topic=self.place[0],
            partition=self.place[1],
            offset=self.at,
            key=self.key_bytes,
            value=self.payload,
            error=self.why,
        )


@dataclass
class FakeKafka:
    """The broker. ``partitions`` is how many each topic has; ``point`` is called at each named point."""

    partitions: Mapping[str, int]
    logs: dict[_Place, list[FakeMessage]] = field(default_factory=lambda: defaultdict(list))
    offsets: dict[tuple[str, str, int], int] = field(default_factory=dict)
    point: Callable[[str], None] = lambda _name: None
    written: int = 0
    generation: int = 0
    owners: dict[str, object] = field(default_factory=dict)
    members: dict[str, FakeConsumer] = field(default_factory=dict)

    def producer(self, settings: Mapping[str, Any]) -> FakeProducer:
        """Stands for ``confluent_kafka.Producer``."""
        return FakeProducer(self, settings)

    def consumer(self, settings: Mapping[str, Any]) -> FakeConsumer:
        """Stands for ``confluent_kafka.Consumer``."""
        return FakeConsumer(self, settings)

    def append(
        self, place: _Place, key: bytes | None, value: bytes | None, of: _Transaction | None = None
    ) -> None:
        """Writes a message."""
        log = self.logs[place]
        self.written += 1
        log.append(FakeMessage(place, len(log), key, value, self.written, of))

    def readable(self, place: _Place) -> int:
        """The offset up to which transactions are over."""
        return next(
            (one.at for one in self.logs[place] if one.transaction and one.transaction.state == "open"),
            len(self.logs[place]),
        )

    def committed(self, topic: str) -> list[FakeMessage]:
        """The messages that a reader of committed transactions sees, in the order of writing."""
        found = [
            one
            for place, log in self.logs.items()
            if place[0] == topic
            for one in log[: self.readable(place)]
            if one.transaction is None or one.transaction.state == "committed"
        ]
        return sorted(found, key=lambda one: one.number)

    def expire(self, transactional_id: str) -> None:
        """Ends the transaction of a producer that is gone, as Kafka does when its time is over."""
        owner = self.owners.pop(transactional_id, None)
        if isinstance(owner, FakeProducer):
            owner.give_up()

    def share(self, assigned: Mapping[FakeConsumer, Sequence[TopicPartition]]) -> None:
        """Gives partitions to the members of a group: first they are taken away, then they are given."""
        self.generation += 1
        for member, places in assigned.items():
            member.generation = self.generation
            gone = [place for place in member.assignment() if place not in places]
            if gone:
                member.on_revoke(member, gone)
        for member, places in assigned.items():
            new = [place for place in places if place not in member.assignment()]
            member.on_assign(member, new)


class FakeProducer:
    """See ``confluent_kafka.Producer``. ``fail`` has an error for the next call of a method."""

    def __init__(self, kafka: FakeKafka, settings: Mapping[str, Any]) -> None:
        self.settings = settings
        self.fail: dict[str, KafkaException] = {}
        self.calls: list[str] = []
        self.under_way = 0
        self._kafka = kafka
        self._id = settings.get("transactional.id", "")
        self._transaction: _Transaction | None = None
        self._offsets: dict[tuple[str, str, int], int] = {}

    def produce(
        self, topic: str, value: bytes | None = None, key: bytes | None = None, partition: int = -1
    ) -> None:
        self._called("produce")
        if self._id and self._transaction is None:
            raise failure(KafkaError._STATE)
        place = (topic, partition if partition >= 0 else self._kafka.written % self._kafka.partitions[topic])
        self._kafka.append(place, key, value, self._transaction)

    def poll(self, timeout: float) -> int:
        return 0

    def flush(self, timeout: float) -> int:
        self._called("flush")
        return self.under_way

    def __len__(self) -> int:
        return self.under_way

    def init_transactions(self, timeout: float) -> None:
        self._called("init_transactions")
        self._kafka.expire(self._id)
        self._kafka.owners[self._id] = self

    def give_up(self) -> None:
        """Kafka ends the open transaction by itself."""
        if self._transaction is not None:
            self._transaction.state = "aborted"

    def begin_transaction(self) -> None:
        self._called("begin_transaction")
        assert self._transaction is None
        self._transaction, self._offsets = _Transaction(), {}

    def send_offsets_to_transaction(
        self, places: Sequence[TopicPartition], group: tuple[str, int], timeout: float
    ) -> None:
        self._kafka.point("before offsets")
        self._called("send_offsets_to_transaction")
        assert self._transaction is not None
        if group[1] != self._kafka.generation and group[1] >= 0:
            raise failure(KafkaError.ILLEGAL_GENERATION)
        self._offsets |= {(group[0], place.topic, place.partition): place.offset for place in places}

    def commit_transaction(self, timeout: float) -> None:
        self._kafka.point("before a commit")
        self._called("commit_transaction")
        assert self._transaction is not None
        self._transaction.state = "committed"
        self._transaction = None
        self._kafka.offsets |= self._offsets
        self._kafka.point("after a commit")

    def abort_transaction(self, timeout: float) -> None:
        self._called("abort_transaction")
        if self._transaction is None:
            raise failure(KafkaError._STATE)
        self._transaction.state, self._transaction = "aborted", None

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if self._id and name != "init_transactions" and self._kafka.owners.get(self._id) is not self:
            raise failure(KafkaError._FENCED)
        if name in self.fail:
            raise self.fail.pop(name)


class FakeConsumer:
    """See ``confluent_kafka.Consumer``. It reads committed transactions, and tells the end of partitions."""

    def __init__(self, kafka: FakeKafka, settings: Mapping[str, Any]) -> None:
        self.settings = settings
        self.paused: set[_Place] = set()
        self.fail: dict[str, KafkaException] = {}
        self.news: list[FakeMessage] = []
        self.callbacks: list[Callable[[], None]] = []
        self.generation = -1
        self.is_closed = False
        self.on_assign: Callable[[Any, list[TopicPartition]], None] = lambda *_: None
        self.on_revoke: Callable[[Any, list[TopicPartition]], None] = lambda *_: None
        self.on_lost: Callable[[Any, list[TopicPartition]], None] = lambda *_: None
        self._kafka = kafka
        self._group = str(settings.get("group.id", ""))
        self._positions: dict[_Place, int] = {}
        self._consumed: dict[_Place, int] = {}
        self._told: dict[_Place, int] = {}
        self.asked: list[str] = []

    def subscribe(self, topics: list[str], **callbacks: Any) -> None:
        for name, callback in callbacks.items():
            setattr(self, name, callback)

    def unsubscribe(self) -> None:
        """Gives its partitions back at once; the real one does so in the next call of ``consume``."""
        if self._positions:
            self.on_revoke(self, self.assignment())

    def assign(self, places: Iterable[TopicPartition]) -> None:
        self._positions.clear()
        self.incremental_assign(places)

    def incremental_assign(self, places: Iterable[TopicPartition]) -> None:
        for place in places:
            known = self._kafka.offsets.get((self._group, place.topic, place.partition), 0)
            start = place.offset if place.offset >= 0 else (0 if place.offset == -2 else known)
            self._positions[place.topic, place.partition] = start
            self._told.pop((place.topic, place.partition), None)

    def incremental_unassign(self, places: Iterable[TopicPartition]) -> None:
        for place in places:
            self._positions.pop((place.topic, place.partition), None)
            self._consumed.pop((place.topic, place.partition), None)

    def unassign(self) -> None:
        self._positions.clear()

    def assignment(self) -> list[TopicPartition]:
        return [TopicPartition(*place) for place in sorted(self._positions)]

    def position(self, places: Iterable[TopicPartition]) -> list[TopicPartition]:
        return [
            TopicPartition(one.topic, one.partition, self._consumed.get((one.topic, one.partition), -1001))
            for one in places
        ]

    def pause(self, places: Iterable[TopicPartition]) -> None:
        self.paused |= {(one.topic, one.partition) for one in places}

    def resume(self, places: Iterable[TopicPartition]) -> None:
        self.paused -= {(one.topic, one.partition) for one in places}

    def consume(self, count: int, timeout: float) -> list[Message]:
        if "consume" in self.fail:
            raise self.fail.pop("consume")
        found, self.news = self.news, []
        for place, position in self._positions.items():
            readable = self._kafka.readable(place)
            if place in self.paused or len(found) >= count:
                continue
            end = min(readable, position + count - len(found))
            if end <= position and self._told.get(place) == position:
                continue
            found += [
                one
                for one in self._kafka.logs[place][position:end]
                if one.transaction is None or one.transaction.state == "committed"
            ]
            if end > position:
                self._positions[place] = self._consumed[place] = end
            if end == readable and self.settings.get("enable.partition.eof"):
                self._told[place] = end
                found.append(FakeMessage(place, end, None, None, why=KafkaError(KafkaError._PARTITION_EOF)))
        return [one.read() for one in found]

    def poll(self, timeout: float) -> Message | None:
        """One message, or None; first the callbacks are called that a test has put into ``callbacks``."""
        while self.callbacks:
            self.callbacks.pop(0)()
        return next(iter(self.consume(1, timeout)), None)

    def commit(self, *, offsets: Sequence[TopicPartition], asynchronous: bool) -> None:
        if "commit" in self.fail:
            raise self.fail.pop("commit")
        for place in offsets:
            self._kafka.offsets[self._group, place.topic, place.partition] = place.offset

    def consumer_group_metadata(self) -> tuple[str, int]:
        return self._group, self.generation

    def list_topics(self, topic: str, timeout: float) -> object:
        self.asked.append(topic)
        return None

    def get_watermark_offsets(self, place: TopicPartition, timeout: float) -> tuple[int, int]:
        if "get_watermark_offsets" in self.fail:
            raise self.fail.pop("get_watermark_offsets")
        return 0, len(self._kafka.logs[place.topic, place.partition])

    def close(self) -> None:
        """Gives its partitions back, as the real one does."""
        if not self.is_closed:
            self.is_closed = True
            if self._positions:
                self.on_revoke(self, self.assignment())
