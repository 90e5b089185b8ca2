"""Admission in the one member that the group of the models topic chooses; it runs in a thread of its own.

Everything that follows from a model message is written in one transaction: what the message changes in state,
its activation, its dead letter or status, and the position in the models topic. The transactional id is the
same in all members, so a member that takes over ends the open transaction of the member before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from model_serving.core.admission.gate import ModelGate
from model_serving.core.admission.queue import ModelQueue
from model_serving.core.channels import Channel, Emitted
from model_serving.core.clock import Clock
from model_serving.core.state import decode_activation
from model_serving.events import Events
from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.connection import SOON_AGAIN, passes
from model_serving.messaging.topics import DEAD_LETTER_BYTES, MAX_MESSAGE_BYTES, TopicNames
from model_serving.server.clients import server_client
from model_serving.server.confirmations import Confirmations
from model_serving.server.entries import Entry, Key, Kind
from model_serving.server.errors import Interrupted
from model_serving.server.state_topic import produce, produce_entries
from model_serving.server.transactions import PATIENCE_S, Transactions, transactional
from model_serving.server.view import StateView

__all__ = ["AdmittingMember"]

_MANY = 100
_LOOK_S = 0.05
_BUSY_LOOK_S = 0.005
_CONNECT_S = 2.0

_HOLD_BACK_S = 3.0
"""How long a message may be pending before it is in the state topic. A load mostly ends sooner, and then the
content goes to Kafka once instead of twice while the model loads."""


def _models_consumer(kafka: KafkaAccess) -> Consumer:
    """A reader of the models topic that joins no group."""
    return Consumer(
        server_client(kafka)
        | {
            "group.id": "model-serving-models",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 100,
            "fetch.message.max.bytes": MAX_MESSAGE_BYTES,
            "queued.max.messages.kbytes": 65_536,
            **SOON_AGAIN,
        }
    )


class AdmittingMember:
    """Reads every partition of the models topic and carries out its messages. Call ``step`` in a loop."""

    def __init__(
        self,
        kafka: KafkaAccess,
        topics: TopicNames,
        state_topic: str,
        transactional_id: str,
        elected: Consumer,
        gate: ModelGate,
        queue: ModelQueue,
        view: StateView,
        confirmations: Confirmations,
        events: Events,
        clock: Clock,
    ) -> None:
        """``elected`` is the place in the group. Next call ``connect``, ``resume`` and ``add_partitions``.

        Raises:
            Fenced: another process has taken over.
            Interrupted: Kafka refused something.
        """
        self._topics = topics
        self._state_topic = state_topic
        self._elected = elected
        self._gate = gate
        self._queue = queue
        self._view = view
        self._confirmations = confirmations
        self._events = events
        self._clock = clock
        self._producer = Producer(
            server_client(kafka)
            | transactional(transactional_id)
            | {"message.max.bytes": DEAD_LETTER_BYTES, "linger.ms": 0, "compression.type": "lz4"}
        )
        self._transactions = Transactions(self._producer)
        self._transactions.start()
        self._consumer = _models_consumer(kafka)
        self._positions: dict[int, int] = {}
        self._changed_positions: set[int] = set()
        # Data type → when to look at its messages again, and when to clean up the model store.
        self._due_ms: dict[str, int] = {}
        self._collect_ms: dict[str, int] = {}
        # Since when messages are held back, in seconds.
        self._held_since_s: float | None = None

    def connect(self) -> None:
        """Asks for the models topic. A client that reads a topic it does not know may wait half a second.

        Without an answer within two seconds, reading only begins later.
        """
        with suppress(KafkaException):
            self._consumer.list_topics(self._topics.models, timeout=_CONNECT_S)

    def resume(self) -> None:
        """Begins with what the member before has left; call it once the state topic has been read."""
        for key in self._view.keys(Kind.PENDING):
            self._due_ms[key.data_type] = 0
        for key in self._view.keys(Kind.HISTORY):
            self._collect_ms[key.data_type] = 0

    def add_partitions(self, positions: Mapping[int, int]) -> None:
        """Reads these partitions too, each from its position."""
        self._positions.update(positions)
        # Offset 0 for the beginning: the client would ask where that is, and for a topic that is new to it
        # only after half a second. If the first messages are gone, it begins with the first that is left.
        self._consumer.incremental_assign(
            [
                TopicPartition(self._topics.models, place, max(0, offset))
                for place, offset in positions.items()
            ]
        )

    @property
    def partitions(self) -> frozenset[int]:
        """The partitions that are read."""
        return frozenset(self._positions)

    def step(self) -> None:
        """Takes messages that have come, looks after those that wait, and writes what follows.

        Raises:
            Fenced: another process has taken over.
            Interrupted: Kafka refused something; begin again from the state topic.
        """
        busy = bool(self._due_ms) or self._confirmations.waits
        outputs: list[Emitted] = []
        for message in self._consumer.consume(_MANY, 0) or self._consumer.consume(
            1, _BUSY_LOOK_S if busy else _LOOK_S
        ):
            outputs += self._take(message)
        now_ms = self._clock.epoch_ms()
        for data_type in [data_type for data_type, due_ms in self._due_ms.items() if due_ms <= now_ms]:
            outputs.append(self._queue.advance(data_type))
            self._look_after(data_type)
        for data_type in [one for one, due_ms in self._collect_ms.items() if due_ms <= now_ms]:
            self._collect(data_type)
        self._write(outputs, self._confirmations.confirmed())

    def close(self) -> None:
        """Gives up what is being prepared; messages that wait stay in the state topic."""
        self._queue.close()
        self._confirmations.close()
        self._view.close()
        self._consumer.close()

    def _take(self, message: Message) -> Iterable[Emitted]:
        error, place, offset = message.error(), int(message.partition() or 0), int(message.offset() or 0)
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                self._move(place, offset)
            elif not passes(error):
                raise Interrupted(f"the topic '{self._topics.models}' cannot be read ({error.str()})")
            return
        payload = message.value() or b""
        routed = self._gate.route(payload)
        if isinstance(routed, Emitted):
            yield routed
        else:
            yield self._queue.offer(routed, payload)
            self._look_after(routed)
        self._move(place, offset + 1)

    def _move(self, place: int, position: int) -> None:
        if position > self._positions.get(place, -1):
            self._positions[place] = position
            self._changed_positions.add(place)

    def _look_after(self, data_type: str) -> None:
        self._due_ms.pop(data_type, None)
        if not self._queue.waits(data_type):
            self._collect_ms[data_type] = 0
            return
        wait_ms = self._queue.look_again_ms(data_type)
        self._due_ms[data_type] = self._clock.epoch_ms() + (wait_ms or 0)

    def _collect(self, data_type: str) -> None:
        del self._collect_ms[data_type]
        again_ms = self._queue.collect(data_type)
        if again_ms is not None:
            self._collect_ms[data_type] = again_ms

    def _write(self, outputs: Sequence[Emitted], confirmed: Sequence[bytes]) -> None:
        if self._holds_back(outputs, confirmed):
            return
        for place in sorted(self._changed_positions):
            self._view.put(Key(Kind.POSITION, "", str(place)), str(self._positions[place]).encode())
        entries = [*self._view.written(), *_activations(outputs)]
        statuses = [*(status for one in outputs for status in one.on(Channel.STATUSES)), *confirmed]
        letters = [letter for one in outputs for letter in one.on(Channel.DEAD_LETTERS)]
        if not (entries or statuses or letters):
            return
        self._transactions.begin()
        produce_entries(self._producer, self._state_topic, entries)
        for topic, messages in ((self._topics.status, statuses), (self._topics.dead_letters, letters)):
            for message in messages:
                produce(self._producer, topic, message)
        # The positions are committed in the group too, where tools look for them.
        places = [
            TopicPartition(self._topics.models, place, self._positions[place])
            for place in sorted(self._changed_positions)
        ]
        group = self._elected.consumer_group_metadata() if places else None
        self._transactions.commit(places, group, PATIENCE_S)
        self._changed_positions.clear()
        self._events.statuses(statuses)

    def _holds_back(self, outputs: Sequence[Emitted], confirmed: Sequence[bytes]) -> bool:
        """Whether to write later, because nothing has happened but that messages have begun to wait.

        Until then a member that takes over reads the messages again, since their positions are not written
        either.
        """
        happened = confirmed or any(one.activations or one.side for one in outputs)
        now_s = self._clock.monotonic_ns() / 1e9
        if not happened and self._view.has_written() and not self._view.has_written(Kind.PENDING):
            self._held_since_s = now_s if self._held_since_s is None else self._held_since_s
            if now_s - self._held_since_s < _HOLD_BACK_S:
                return True
        self._held_since_s = None
        return False


def _activations(outputs: Sequence[Emitted]) -> Iterator[Entry]:
    """The entries of activations: each stays unconfirmed until every member has carried it out."""
    for emitted in outputs:
        for data_type, order in emitted.activations:
            yield Entry(Key(Kind.ACTIVATION, data_type), order)
            sequence = decode_activation(order).sequence
            yield Entry(Key(Kind.UNCONFIRMED, data_type, str(sequence)), order)
