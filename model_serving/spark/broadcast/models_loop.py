"""The loop on the driver: admits models, publishes them, and serves the records that had to wait."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from model_serving.core.admission.gate import ModelGate
from model_serving.core.admission.queue import ModelQueue
from model_serving.core.channels import AT_ONCE, Emitted
from model_serving.core.clock import Clock
from model_serving.core.scoring.desk import ServingDesk
from model_serving.core.scoring.waiting import waiting_parts
from model_serving.core.state import decode_activation, encode_activation
from model_serving.messaging.receiving import Received
from model_serving.messaging.topics import TopicNames
from model_serving.spark.broadcast.coming import Coming
from model_serving.spark.broadcast.driver_ports import WaitingOnDriver
from model_serving.spark.broadcast.driver_state import DriverState, Key, Kind
from model_serving.spark.broadcast.handover import Handover
from model_serving.spark.broadcast.pointer import Pointer
from model_serving.spark.broadcast.presence import Workers
from model_serving.spark.broadcast.timetable import Timetable
from model_serving.spark.outputs import Row, Rows
from model_serving.wire import RecordCodec

__all__ = ["ModelMessages", "ModelsLoop"]

_LOOK_S = 0.05
_BUSY_LOOK_S = 0.005
_REMIND_AFTER_MS = 10_000
_REMIND_EVERY_MS = 60_000
_MANY_ROWS = 20_000
_SLOW_LOOK_MS = 1_000
"""How often to look for records of tasks where each look is a request to a store."""


class ModelMessages(Protocol):
    """The messages of the models topic, and how far they were read."""

    positions: dict[int, int]

    @property
    def caught_up(self) -> bool:
        """Whether everything has been read that the topic held when reading began."""
        ...

    def poll(self, timeout_s: float) -> list[Received]:
        """The messages that have arrived."""
        ...

    def commit(self) -> None:
        """Shows the positions to tools."""
        ...


class ModelsLoop:
    """Call order: ``begin``, then ``step`` again and again, at the end ``close``; all from one thread.

    A step writes what follows from its messages in this order: results and dead letters; the state, with the
    positions in the models topic; the pointer; the status ACTIVE. So whoever reads ACTIVE knows that every
    task that starts from now on sees the model. After a kill in between, the next start does the rest again.
    """

    def __init__(
        self,
        source: ModelMessages,
        gate: ModelGate,
        queue: ModelQueue,
        desk: ServingDesk,
        codec: RecordCodec,
        state: DriverState,
        waiting: WaitingOnDriver,
        pointer: Pointer,
        handover: Handover,
        workers: Workers,
        topics: TopicNames,
        send: Callable[[Sequence[Row]], None],
        clock: Clock,
        *,
        bounded: bool,
    ) -> None:
        """``desk`` and ``queue`` work over ``state``. ``send`` returns when Kafka has the messages.

        A ``bounded`` loop reads the models topic to the end that it had at the start.
        """
        self._source = source
        self._gate = gate
        self._queue = queue
        self._desk = desk
        self._codec = codec
        self._state = state
        self._waiting = waiting
        self._pointer = pointer
        self._handover = handover
        self._coming = Coming(state, workers, clock)
        self._topics = topics
        self._send = send
        self._clock = clock
        self._bounded = bounded
        self._rows = Rows(topics)
        self._taken: list[str] = []
        self._confirmed: list[bytes] = []
        self._has_new_orders = False
        # Data type → when to look at its messages, its models in the store, its waiting records; and at
        # those whose model server is away.
        self._due, self._collect = Timetable(clock), Timetable(clock)
        self._remind, self._retry = Timetable(clock), Timetable(clock)
        self._next_look_ms = 0

    def begin(self) -> None:
        """Publishes what the state has, and goes on with what was under way.

        Raises:
            StoreFailed: a file of the checkpoint folder cannot be read or written.
        """
        self._coming.restore()
        self._publish()
        self._report(self._state.unsent)
        for key in self._state.keys(Kind.PENDING):
            self._due.at(key.data_type)
        for key in self._state.keys(Kind.HISTORY):
            self._collect.at(key.data_type)
        for data_type in self._waiting.data_types:
            self._remind.at(data_type, _REMIND_AFTER_MS)
            self._retry.at(data_type)

    @property
    def caught_up(self) -> bool:
        """Whether the messages that the models topic held at the start have been read."""
        return self._source.caught_up

    def step(self) -> None:
        """Takes messages that have come, and records that tasks have left, and writes what follows.

        Raises:
            ContentUnavailable: the content of a restored model is not available from the model store.
            MessagingError: Kafka refuses to be read or written.
            StoreFailed: a file of the checkpoint folder cannot be read or written.
        """
        for data_type, order in self._coming.take():
            self._carry_out(data_type, order)
            self._has_new_orders = True
        if not (self._bounded and self._source.caught_up):
            is_busy = self._due or self._coming
            for message in self._source.poll(_BUSY_LOOK_S if is_busy else _LOOK_S):
                self._take(message.payload)
        for data_type in self._due.due():
            self._add(self._queue.advance(data_type))
            self._look_after(data_type)
        for data_type in self._collect.due():
            self._clean(data_type)
        self._serve_left()
        for data_type in self._retry.due():
            self._add_all(self._desk.retry(data_type))
        for data_type in self._remind.due():
            self._say_that_they_wait(data_type)
        self._write()

    def end(self) -> None:
        """Gives up the records that wait, because the input has ended.

        Raises:
            MessagingError: Kafka refuses to be written.
            StoreFailed: a file of the checkpoint folder cannot be read or written.
        """
        while self._handover.names():
            self._next_look_ms = 0
            self._serve_left()
            self._write()
        for data_type in self._waiting.data_types:
            self._add_all(self._desk.end(data_type))
        self._write()

    def close(self) -> None:
        """Gives up what is being prepared; messages that wait stay in the state."""
        self._queue.close()
        self._desk.close()

    def _take(self, payload: bytes) -> None:
        routed = self._gate.route(payload)
        if isinstance(routed, Emitted):
            self._add(routed)
        else:
            self._add(self._queue.offer(routed, payload))
            self._look_after(routed)

    def _look_after(self, data_type: str) -> None:
        if self._queue.waits(data_type):
            self._due.at(data_type, self._queue.look_again_ms(data_type) or 0)
        else:
            self._due.remove(data_type)
            self._collect.at(data_type)

    def _clean(self, data_type: str) -> None:
        if data_type in self._coming:
            # What an activation refers to stays until it has been carried out, also if it was removed since.
            self._collect.at(data_type, _SLOW_LOOK_MS)
            return
        again_ms = self._queue.collect(data_type)
        if again_ms is not None:
            self._collect.at(data_type, again_ms - self._clock.epoch_ms())

    def _serve_left(self) -> None:
        """Takes the records that tasks have left: scores them, or lets them wait."""
        now_ms = self._clock.epoch_ms()
        if now_ms < self._next_look_ms:
            return
        self._next_look_ms = now_ms if self._pointer.is_cheap else now_ms + _SLOW_LOOK_MS
        for name in self._handover.names():
            if len(self._rows) > _MANY_ROWS:
                # The others are for the next step, so that not all dead letters of a backlog are in memory.
                self._next_look_ms = now_ms
                return
            for payloads, origins in waiting_parts([self._handover.read(name)]):
                self._add(self._desk.take(self._codec.decode(payloads, origins)))
            self._taken.append(name)

    def _say_that_they_wait(self, data_type: str) -> None:
        emitted = self._desk.remind(data_type)
        if emitted is not None:
            self._add(emitted)
            self._remind.at(data_type, _REMIND_EVERY_MS)

    def _add_all(self, outputs: Iterable[Emitted]) -> None:
        for emitted in outputs:
            self._add(emitted)

    def _add(self, emitted: Emitted) -> None:
        self._rows.add(emitted)
        self._confirmed += [swap.status for swap in emitted.swaps if swap.sequence != AT_ONCE]
        for data_type in emitted.began_to_wait:
            if not self._bounded:
                self._remind.at(data_type, _REMIND_AFTER_MS)
        for retry in emitted.retries:
            self._retry.at(retry.data_type, retry.in_ms)
        for data_type, order in emitted.activations:
            # Worker processes load a model before it serves, so that no record waits for that.
            if self._coming.add(data_type, order):
                self._has_new_orders = True
            else:
                self._carry_out(data_type, order)

    def _carry_out(self, data_type: str, order: bytes) -> None:
        """Serves a model, here and by the pointer."""
        activation, key = decode_activation(order), Key(Kind.ORDER, data_type)
        before = self._state.get(key)
        self._state.put(key, order)
        swapped = False
        for emitted in self._desk.carry_out(order):
            swapped = swapped or any(swap.sequence == activation.sequence for swap in emitted.swaps)
            self._add(emitted)
        if swapped:
            self._has_new_orders = True
        elif activation.fallback:
            # Nothing serves the data type now, here as in the tasks.
            self._state.put(key, encode_activation(replace(activation, model=None)))
            self._has_new_orders = True
        elif before is None:
            self._state.delete(key)
        else:
            self._state.put(key, before)

    def _write(self) -> None:
        moved = self._source.positions != self._state.positions
        if not (moved or self._state.has_changed or self._taken or self._confirmed or len(self._rows)):
            return
        self._send(self._rows.take())
        self._state.positions = dict(self._source.positions)
        self._state.commit(self._confirmed)
        if self._has_new_orders:
            self._publish()
        self._report(self._confirmed)
        self._confirmed = []
        self._source.commit()
        for name in self._taken:
            self._handover.drop(name)
        self._taken = []

    def _report(self, statuses: Sequence[bytes]) -> None:
        """Writes statuses that the state has as not written yet."""
        if statuses:
            self._send([(self._topics.status, status, []) for status in statuses])
            self._state.commit()

    def _publish(self) -> None:
        orders = {key.data_type: self._state.get(key) for key in self._state.keys(Kind.ORDER)}
        in_force = {data_type: order for data_type, order in orders.items() if order is not None}
        self._pointer.publish(in_force, self._coming.newest())
        self._has_new_orders = False
