"""The loop of a member: records in, results out, activations in between."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from confluent_kafka import Consumer, Message

from model_serving.core.batches import Decoded
from model_serving.core.channels import AT_ONCE, Channel, Emitted
from model_serving.core.scoring.desk import ServingDesk
from model_serving.core.state import decode_activation
from model_serving.messaging.topics import TopicNames
from model_serving.server.delivery import Delivery
from model_serving.server.entries import Entry, Key, Kind
from model_serving.server.errors import Interrupted
from model_serving.server.mirror import Mirror
from model_serving.server.partitions import Partitions
from model_serving.server.ports import EndOffsets, EntrySender
from model_serving.server.progress import Progress
from model_serving.server.swaps import SwapQueue
from model_serving.server.waiting import WaitingInState
from model_serving.wire import RecordCodec

__all__ = ["ServingLoop"]

_MANY = 2_000
"""The most records in a batch: enough that costs for each batch do not count, few enough milliseconds."""

_LONG_S = 0.5
"""Batches become smaller when one takes longer, so that transactions and activations do not wait for it."""

_IDLE_S = 0.02

_GATHER_S = 0.005
"""How long records gather before a batch while a model loads. The load and this loop share the interpreter
and the processor; small batches, which cost the most for a record, would make it last longer."""

_FEW = 100
"""Up to this size of the last batch, records are waited for: there is no backlog."""

# Mapped over a batch: a method call from Python for each record would cost more than scoring it.
_VALUE, _PARTITION = Message.value, Message.partition

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
        is_loading: Callable[[], bool],
        *,
        until: Mapping[int, int] | None = None,
    ) -> None:
        """``is_loading`` says whether a model loads in this process now.

        ``until`` are the ends of the data topic's partitions in a bounded run.
        """
        self._name = name
        self._delivery = delivery
        self._progress = progress
        self._desk = desk
        self._codec = codec
        self._waiting = waiting
        self._swaps = swaps
        self._sender = sender
        self._topics = topics
        self._is_loading = is_loading
        self._until = until
        self._many = _MANY
        self._has_few = True
        self._remind: dict[str, float] = {}
        # Data types whose records wait for a model server: when to look again, and which are too many.
        self._retry: dict[str, float] = {}
        self._full: set[str] = set()
        # Whether records that may have to wait were among the last ones.
        self._apart = False
        self._partitions = Partitions(
            consumer, topics.data, mirror, ends, state_topic, self._goes, self._went
        )

    def start(self) -> None:
        """Joins the group of the members, when no process before this one can write any more.

        Raises:
            Interrupted: Kafka refuses, or does not answer.
            Fenced: another process has this one's name.
        """
        self._delivery.start()
        self._partitions.start()

    def step(self) -> None:
        """One round: activations, records, commits.

        Raises:
            Interrupted: Kafka refused something; begin again from what is committed.
            Fenced: another process has this one's name.
        """
        self._partitions.check()
        self._carry_out()
        if arrived := self._partitions.arrived():
            self._take_over(arrived)
        if self._has_few and self._is_loading():
            time.sleep(_GATHER_S)
        messages = self._partitions.read(self._many)
        self._has_few = len(messages) <= _FEW
        if messages:
            # What was written in the round before has mostly arrived by now: a commit need not wait for it.
            self._delivery.tend(has_read=False)
            self._serve_timed(messages)
        if self._retry or self._full:
            self._retry_waiting()
        if self._remind:
            self._remind_of_waiting()
        self._delivery.tend(has_read=bool(messages))

    def join_anew(self) -> None:
        """Leaves the group of the members and joins it again, so that it shares the partitions anew."""
        self._partitions.join_anew()

    @property
    def is_at_end(self) -> bool:
        """In a bounded run: whether every record of this member's partitions has been read."""
        partitions = self._partitions
        if self._until is None or not partitions.are_known or not self._swaps.is_idle:
            return False
        return all(
            max(self._progress.next_offset(place), partitions.reached(place)) >= self._until.get(place, 0)
            for place in partitions.mine
        )

    @property
    def has_joined(self) -> bool:
        """Whether the group has let this member in; it may have given it no partition."""
        return self._partitions.has_joined

    @property
    def partitions(self) -> frozenset[int]:
        """The partitions that this member reads now."""
        return self._partitions.mine

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

    def _serve_timed(self, messages: Sequence[Message]) -> None:
        start_s = time.monotonic()
        self._serve(messages)
        took_s = time.monotonic() - start_s
        if took_s > _LONG_S:
            self._many = max(1, len(messages) // 2)
        elif len(messages) == self._many < _MANY and took_s < _LONG_S / 4:
            self._many = min(_MANY, 2 * self._many)

    def _serve(self, messages: Sequence[Message]) -> None:
        parts = self._decoded(messages)
        data_types = [batch.data_type for _, decoded in parts for batch in decoded.batches]
        if not self._desk.has_loaded(data_types):
            # A model may have to be loaded, which takes longer than a transaction should.
            self._delivery.finish()
        may_wait = self._desk.may_wait(data_types)
        if may_wait != self._apart:
            # This is known only after reading; the next records are mostly like these.
            self._apart = may_wait
            if may_wait:
                parts = self._decoded(messages)
        for partition, decoded in parts:
            self._waiting.partition = partition
            self._write(self._desk.take(decoded))
        self._progress.served(messages)

    def _decoded(self, messages: Sequence[Message]) -> list[tuple[int, Decoded]]:
        """Reads records: by partition if they may have to wait under it, else together, which is faster."""
        payloads = [payload or b"" for payload in map(_VALUE, messages)]
        if not self._apart:
            return [(int(messages[0].partition() or 0), self._codec.decode(payloads))]
        by_partition: dict[int, list[bytes]] = defaultdict(list)
        for partition, payload in zip(map(_PARTITION, messages), payloads, strict=True):
            by_partition[int(partition or 0)].append(payload)
        return [(partition, self._codec.decode(records)) for partition, records in by_partition.items()]

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
        self._partitions.hold_back(bool(self._full))

    def _take_over(self, arrived: Collection[int]) -> None:
        """Goes on with the records that wait in partitions which this member reads now."""
        self._waiting.came(arrived)
        for data_type in self._waiting.data_types():
            self._remind.setdefault(data_type, time.monotonic() + _REMIND_AFTER_S)
            self._write_all(self._desk.retry(data_type))

    def _goes(self) -> None:
        self._delivery.finish()

    def _went(self, partitions: Collection[int]) -> None:
        self._waiting.went(partitions)
        self._progress.went(partitions)
