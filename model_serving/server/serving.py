"""The loop of a member: records in, results out, activations in between."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from model_serving.core.channels import AT_ONCE, Channel, Emitted
from model_serving.core.scoring.desk import ServingDesk
from model_serving.core.state import decode_activation
from model_serving.messaging.connection import passes
from model_serving.messaging.topics import TopicNames
from model_serving.server.delivery import Delivery
from model_serving.server.entries import Entry, Key, Kind
from model_serving.server.errors import Fenced, Interrupted
from model_serving.server.mirror import Mirror
from model_serving.server.ports import EndOffsets, EntrySender
from model_serving.server.progress import Progress
from model_serving.server.state_topic import PARTITIONS
from model_serving.server.swaps import SwapQueue
from model_serving.server.waiting import WaitingInState
from model_serving.wire import RecordCodec

__all__ = ["ServingLoop"]

_MANY = 2_000
"""The most records in a batch: enough that costs for each batch do not count, few enough milliseconds."""

_LONG_S = 0.5
"""Batches become smaller when one takes longer, so that transactions and activations do not wait for it."""

_IDLE_S = 0.02
_STOP_S = 3.0
_REMIND_AFTER_S = 10.0
_REMIND_EVERY_S = 60.0


class ServingLoop:
    """Reads the partitions that the group gives to this member, scores their records, and writes the output.

    Call ``start``, then ``step`` again and again, at the end ``stop``. Everything happens in the caller's
    thread, in turn: an activation is carried out between two batches, so each batch has one version.
    """

    def __init__(
        self,
        name: str,
        consumer: Consumer,
        delivery: Delivery,
        progress: Progress,
        desk: ServingDesk,
        codec: RecordCodec,
        waiting: WaitingInState,
        swaps: SwapQueue,
        mirror: Mirror,
        sender: EntrySender,
        ends: EndOffsets,
        topics: TopicNames,
        state_topic: str,
        *,
        until: Mapping[int, int] | None = None,
    ) -> None:
        """``until`` are the ends of the data topic's partitions in a bounded run."""
        self._name = name
        self._consumer = consumer
        self._delivery = delivery
        self._progress = progress
        self._desk = desk
        self._codec = codec
        self._waiting = waiting
        self._swaps = swaps
        self._mirror = mirror
        self._sender = sender
        self._ends = ends
        self._topics = topics
        self._state_topic = state_topic
        self._until = until
        self._reached: dict[int, int] = {}
        self._mine: set[int] = set()
        self._joined = False
        self._rebalanced = False
        self._failure: Fenced | Interrupted | None = None
        self._many = _MANY
        # Partitions that came, until the mirror has what was written before they came.
        self._arriving: dict[int, dict[int, int]] = {}
        self._remind: dict[str, float] = {}
        # Data types whose records wait for a model server: when to look again, and which are too many.
        self._retry: dict[str, float] = {}
        self._full: set[str] = set()
        self._held_back = False

    def start(self) -> None:
        """Joins the group of the members."""
        self._consumer.subscribe(
            [self._topics.data], on_assign=self._came, on_revoke=self._goes, on_lost=self._lost_to_others
        )

    def step(self) -> None:
        """One round: activations, records, commits.

        Raises:
            Interrupted: Kafka refused something; begin again from what is committed.
            Fenced: another process has this one's name.
        """
        self._check()
        self._carry_out()
        if self._arriving:
            self._arrive()
        messages = self._messages()
        self._check()
        has_read = bool(messages) and self._serve_timed(messages)
        if self._retry or self._held_back:
            self._retry_waiting()
        if self._remind:
            self._remind_of_waiting()
        self._delivery.tend(has_read=has_read)

    def _check(self) -> None:
        """Raises what a callback of the client could not raise."""
        if self._failure is not None:
            raise self._failure

    def _messages(self) -> list[Message]:
        """The records that are there, at most a batch; waits a moment for the first one."""
        self._rebalanced = False
        messages: list[Message] = self._consumer.consume(self._many, 0) or self._consumer.consume(1, _IDLE_S)
        if self._rebalanced:
            # The client may have gathered some of them before it gave their partition to somebody else.
            return [message for message in messages if message.partition() in self._mine]
        return messages

    @property
    def is_at_end(self) -> bool:
        """In a bounded run: whether every record of this member's partitions has been read."""
        if self._until is None or not self._joined or self._arriving or not self._swaps.is_idle:
            return False
        return all(
            max(self._progress.next_offset(place), self._reached.get(place, 0)) >= self._until.get(place, 0)
            for place in self._mine
        )

    @property
    def has_joined(self) -> bool:
        """Whether the group has let this member in; it may have given it no partition."""
        return self._joined

    @property
    def partitions(self) -> frozenset[int]:
        """The partitions that this member reads now."""
        return frozenset(self._mine)

    def end(self, *, patience_s: float) -> None:
        """In a bounded run: gives up the records that still wait, because no model can come any more.

        Model servers that are away have ``patience_s`` seconds to come back.
        """
        end_s = time.monotonic() + patience_s
        while self._retry and time.monotonic() < end_s:
            self._retry_waiting()
            self._delivery.tend(has_read=False)
            time.sleep(_IDLE_S)
        for data_type in self._waiting.data_types():
            self._write_all(self._desk.end(data_type))

    def stop(self) -> None:
        """Commits what was read. Without Kafka this is given up soon: nothing is lost, only read again."""
        try:
            self._delivery.finish(patience_s=_STOP_S)
        except Interrupted:
            return

    def _carry_out(self) -> None:
        # Results of the version before must be on their way before this member says that it has swapped.
        while not self._delivery.holds_back and (swap := self._swaps.next()) is not None:
            try:
                self._carry_out_one(swap.order)
            finally:
                swap.done()

    def _carry_out_one(self, order: bytes) -> None:
        reported = False
        for emitted in self._desk.carry_out(order):
            reported = reported or any(report.sequence != AT_ONCE for report in emitted.swaps)
            self._write(emitted)
        if reported:
            return
        activation = decode_activation(order)
        if activation.fallback:
            # Nothing takes a fallback back, so nobody may wait for a report of it.
            self._report(activation.data_type, activation.sequence, b"")

    def _serve_timed(self, messages: list[Message]) -> bool:
        start_s = time.monotonic()
        has_read = self._serve(messages)
        took_s = time.monotonic() - start_s
        if took_s > _LONG_S:
            self._many = max(1, len(messages) // 2)
        elif len(messages) == self._many < _MANY and took_s < _LONG_S / 4:
            self._many = min(_MANY, 2 * self._many)
        return has_read

    def _serve(self, messages: list[Message]) -> bool:
        if any(map(_ERROR, messages)):
            messages = self._without_errors(messages)
            if not messages:
                return False
        payloads = [payload or b"" for payload in map(_VALUE, messages)]
        decoded = self._codec.decode(payloads)
        data_types = [batch.data_type for batch in decoded.batches]
        if not self._desk.has_loaded(data_types):
            # A model may have to be loaded, which takes longer than a transaction should.
            self._delivery.finish()
        if self._desk.may_wait(data_types):
            self._serve_by_partition(messages, payloads)
        else:
            self._waiting.partition = int(messages[0].partition() or 0)
            self._write(self._desk.take(decoded))
        self._progress.served(messages)
        return True

    def _serve_by_partition(self, messages: Sequence[Message], payloads: Sequence[bytes]) -> None:
        """Serves records of which some may have to wait, with the partition that they have to wait under."""
        by_partition: dict[int, list[bytes]] = defaultdict(list)
        for message, payload in zip(messages, payloads, strict=True):
            by_partition[int(message.partition() or 0)].append(payload)
        for partition, records in by_partition.items():
            self._waiting.partition = partition
            self._write(self._desk.take(self._codec.decode(records)))

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
                raise Interrupted(f"the topic '{self._topics.data}' cannot be read ({error.str()})")
        return whole

    def _write_all(self, emitted: Iterable[Emitted]) -> None:
        for one in emitted:
            self._write(one)

    def _write(self, emitted: Emitted) -> None:
        delivery, topics = self._delivery, self._topics
        delivery.write(topics.results, emitted.results)
        if emitted.side:
            delivery.write(topics.dead_letters, list(emitted.on(Channel.DEAD_LETTERS)))
            delivery.write(topics.status, list(emitted.on(Channel.STATUSES)))
            delivery.write(topics.models, list(emitted.on(Channel.ROLLBACKS)))
        if written := self._waiting.written():
            delivery.state(written)
        for report in emitted.swaps:
            if report.sequence == AT_ONCE:
                delivery.write(topics.status, [report.status])
            else:
                self._report(report.data_type, report.sequence, report.status)
        for data_type in emitted.began_to_wait:
            self._remind[data_type] = time.monotonic() + _REMIND_AFTER_S
        for retry in emitted.retries:
            self._retry[retry.data_type] = time.monotonic() + retry.in_ms / 1000
            if retry.full:
                self._full.add(retry.data_type)

    def _report(self, data_type: str, sequence: int, status: bytes) -> None:
        self._sender.send([Entry(Key(Kind.REPORT, data_type, f"{sequence}/{self._name}"), status)])

    def _remind_of_waiting(self) -> None:
        now_s = time.monotonic()
        for data_type in [data_type for data_type, due_s in self._remind.items() if due_s <= now_s]:
            reminder = self._desk.remind(data_type)
            if reminder is None:
                del self._remind[data_type]
            else:
                self._write(reminder)
                self._remind[data_type] = now_s + _REMIND_EVERY_S

    def _retry_waiting(self) -> None:
        """Looks whether model servers are back; while too many records wait for one, nothing is read."""
        now_s = time.monotonic()
        for data_type in [data_type for data_type, due_s in self._retry.items() if due_s <= now_s]:
            del self._retry[data_type]
            self._full.discard(data_type)
            self._write_all(self._desk.retry(data_type))
        if bool(self._full) == self._held_back:
            return
        self._held_back = bool(self._full)
        places = [TopicPartition(self._topics.data, place) for place in self._mine - self._arriving.keys()]
        (self._consumer.pause if self._held_back else self._consumer.resume)(places)

    def _came(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        self._joined = True
        if not places:
            return
        consumer.incremental_assign(places)
        consumer.pause(places)
        # What the member before has written about these partitions must be known here before their records.
        try:
            target = self._ends.of(self._state_topic, range(PARTITIONS))
        except KafkaException as error:
            self._failure = Interrupted(f"the end of the state topic is not known ({error.args[0].str()})")
            return
        for place in places:
            self._arriving[place.partition] = target
            self._mine.add(place.partition)

    def _arrive(self) -> None:
        ready = [place for place, target in self._arriving.items() if self._mirror.has_reached(target)]
        if not ready:
            return
        for place in ready:
            del self._arriving[place]
        self._waiting.came(ready)
        for data_type in self._waiting.data_types():
            self._remind.setdefault(data_type, time.monotonic() + _REMIND_AFTER_S)
            self._write_all(self._desk.retry(data_type))
        if not self._held_back:
            self._consumer.resume([TopicPartition(self._topics.data, place) for place in ready])

    def _goes(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        try:
            self._delivery.finish()
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
        self._waiting.went(gone)
        self._progress.went(gone)
        self._rebalanced = True
        self._mine -= gone
        for place in gone:
            self._arriving.pop(place, None)
            self._reached.pop(place, None)
        consumer.incremental_unassign(places)


# Maps over methods of the C class: three calls for each record cost more than scoring it.
_ERROR, _VALUE = Message.error, Message.value

_PASSING_HERE = {
    KafkaError._MAX_POLL_EXCEEDED,  # noqa: SLF001 - its public name
    KafkaError.UNKNOWN_TOPIC_OR_PART,
}
