"""Several members of a server over one Kafka in memory; a test decides who does what, step by step."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from model_serving.assembly import build
from model_serving.core.admission import queue
from model_serving.core.admission.queue import ModelQueue
from model_serving.core.pool import ModelPool
from model_serving.core.scoring.waiting import NoModelPolicy, WaitingPolicy
from model_serving.engines.content import KindCheckedEngine
from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.topics import TopicNames
from model_serving.server import admitting, delivery, serving, state_topic
from model_serving.server.admitting import AdmittingMember
from model_serving.server.confirmations import Confirmations
from model_serving.server.contents import ContentsInState
from model_serving.server.delivery import AtLeastOnce, Delivery, ExactlyOnce
from model_serving.server.entries import Key, Kind
from model_serving.server.errors import Fenced, Interrupted
from model_serving.server.events import Events, LogFormat
from model_serving.server.member import ActiveInState
from model_serving.server.members import Members, Registration
from model_serving.server.mirror import Mirror
from model_serving.server.progress import Progress
from model_serving.server.serving import ServingLoop
from model_serving.server.state_topic import PARTITIONS, StateSender, StateTail, TopicEnds
from model_serving.server.swaps import Swap, SwapQueue
from model_serving.server.view import KeptInView, PendingInView, StateView
from model_serving.server.waiting import WaitingInState
from model_serving.settings import ServingSettings
from model_serving.testing import FakeClock, FakeEngine
from tests.fake_kafka import FakeConsumer, FakeKafka

__all__ = ["DATA_PARTITIONS", "STATE", "TOPICS", "Cluster", "Killed", "clusters"]

TOPICS = TopicNames()
STATE = "state"
DATA_PARTITIONS = 3
_ACCESS = KafkaAccess("localhost:1", {})
_RECORD = "model_serving.protos.winerecord_pb2:WineRecord"


class Killed(BaseException):
    """The process is killed; nothing of it may go on."""


class _Seconds:
    """Stands for the module ``time``."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class _Silent(Events):
    def tell(self, event: str, text: str, **fields: object) -> None:
        """Hundreds of runs have many events."""


class _SwapsAtOnce(SwapQueue):
    """Loads in the thread of the serving loop."""

    def start(self) -> None:
        """There is no thread."""

    def next(self) -> Swap | None:
        while not self._orders.empty():
            self.load_next()
        return super().next()


class _Office:
    """Admission in the elected member."""

    def __init__(self, cluster: Cluster, member: _Process) -> None:
        view = StateView(member.mirror)
        settings, clock = cluster.settings, cluster.clock
        models = member.parts.queue(KeptInView(view), PendingInView(view), 0)
        assert isinstance(models, ModelQueue)
        models._patient = True
        elected: Any = FakeConsumer(cluster.kafka, {"group.id": "models"})
        self._mirror = member.mirror
        self.member = AdmittingMember(
            _ACCESS,
            TOPICS,
            STATE,
            "admission",
            elected,
            member.parts.gate(0),
            models,
            view,
            Confirmations(
                member.mirror,
                view,
                Members(member.mirror, cluster.seconds.monotonic),
                lambda order: member.parts.swapped(order, member.name, 0),
            ),
            _Silent(LogFormat.TEXT, "test"),
            clock,
        )
        assert settings.models_topic == TOPICS.models
        self._target = TopicEnds(_ACCESS).of(STATE, [0])
        self._resumed = False

    def step(self) -> None:
        if not self._resumed:
            if not self._mirror.has_reached(self._target):
                return
            self._resumed = True
            self.member.resume()
            saved = self._mirror.get(Key(Kind.POSITION, "", "0"))
            self.member.add_partitions({0: -2 if saved is None else int(saved)})
        self.member.step()


class _Process:
    """One process that serves: what ``Member`` makes, without threads."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.name = name
        self._cluster = cluster
        self.mirror = Mirror()
        self._tail = StateTail(_ACCESS, STATE, self.mirror)
        self._sender = StateSender(_ACCESS, STATE)
        self._registration = Registration(name, self._sender, self.mirror)
        self._registration.sign(cluster.seconds.now)
        store = ContentsInState(self.mirror, self._sender, STATE)
        engine = cluster.engine
        self.parts = build(cluster.settings, cluster.clock, ModelPool(engine), engine, store)
        self.consumer: FakeConsumer | None = None
        self.loop: ServingLoop | None = None
        self.office: _Office | None = None

    def follow(self, most: int = 1_000) -> None:
        """Reads the state topic."""
        self._tail._apply(self._tail._consumer.consume(most, 0))
        if self.loop is None and self._registration.is_known:
            self._join()

    def serve(self) -> None:
        """One round of the loop, and a sign of life."""
        self._registration.sign(self._cluster.seconds.now)
        if self.loop is not None:
            self.loop.step()

    def admit(self) -> None:
        """One round of admission; takes office first."""
        if self.office is None:
            self.office = _Office(self._cluster, self)
        self.office.step()

    def leave_office(self) -> None:
        if self.office is not None:
            self.office.member.close()
        self.office = None

    def _join(self) -> None:
        cluster = self._cluster
        consumer: Any = FakeConsumer(cluster.kafka, {"group.id": "data"})
        self.consumer = consumer
        progress = Progress(TOPICS.data)
        made: Delivery = (
            ExactlyOnce(_ACCESS, consumer, progress, STATE, 0.2, self.name)
            if cluster.exactly_once
            else AtLeastOnce(_ACCESS, consumer, progress, STATE, 0.2)
        )
        waiting = WaitingInState(self.mirror)
        swaps = _SwapsAtOnce(self.mirror, self.parts.lease)
        swaps.follow()
        desk = self.parts.desk(ActiveInState(self.mirror), waiting, self.name, 0)
        loop = ServingLoop(
            self.name,
            consumer,
            made,
            progress,
            desk,
            self.parts.codec,
            waiting,
            swaps,
            self.mirror,
            self._sender,
            TopicEnds(_ACCESS),
            TOPICS,
            STATE,
        )
        loop.start()
        self.loop = loop


class Cluster:
    """The members by name. What a member does may kill it; ``kill_at`` names the point where."""

    def __init__(self, engine: FakeEngine, seconds: _Seconds, *, exactly_once: bool) -> None:
        topics = dict.fromkeys(TOPICS.all(), 1) | {TOPICS.data: DATA_PARTITIONS, STATE: PARTITIONS}
        self.kafka = FakeKafka(topics)
        self.kafka.point = self._passes
        self.engine, self.seconds, self.exactly_once = engine, seconds, exactly_once
        self.clock = FakeClock()
        waits = WaitingPolicy(NoModelPolicy.BUFFER, 1_000, bounded=False)
        settings = ServingSettings(_RECORD, TOPICS.models, TOPICS.data, waits, 2, "/", 1 << 20)
        self.settings = replace(
            settings,
            inline_limit=0,
            run="server",
            claims_stored=True,
            failure_threshold=0,
            trial_timeout_s=0,
            model_store_retention_ms=3_600_000,
        )
        self.processes: dict[str, _Process] = {}
        self.elected = ""
        self.kill_at = ""
        self._dead_ids: set[str] = set()

    def start(self, name: str) -> None:
        """Starts a process, which takes over if one of this name runs."""
        self.kill(name)
        self.processes[name] = _Process(self, name)

    def kill(self, name: str) -> None:
        """Ends a process as kill -9 does; its transaction stays open."""
        process = self.processes.pop(name, None)
        if process is not None:
            self._dead_ids.add(name)
            if self.elected == name:
                self.elected = ""
                self._dead_ids.add("admission")

    def expire(self) -> None:
        """Kafka ends the transactions of the dead, and gives their partitions to nobody."""
        for transactional_id in self._dead_ids:
            if transactional_id not in self.processes and not (
                transactional_id == "admission" and self.elected
            ):
                self.kafka.expire(transactional_id)
        self._dead_ids.clear()

    def elect(self, name: str) -> None:
        """Gives the office to another member."""
        if name in self.processes and name != self.elected:
            before = self.processes.get(self.elected)
            self.elected = name
            if before is not None:
                before.leave_office()

    def share(self, owners: Sequence[str]) -> None:
        """Gives each partition to the named member, if it has joined; else to any that has."""
        joined = [name for name, one in self.processes.items() if one.consumer is not None]
        if not joined:
            return
        wanted: dict[str, list[TopicPartition]] = {name: [] for name in joined}
        for partition, owner in enumerate(owners):
            name = owner if owner in wanted else joined[partition % len(joined)]
            wanted[name].append(TopicPartition(TOPICS.data, partition))
        self.kafka.generation += 1
        for name, places in wanted.items():
            self._do(name, partial(self._take_away, places=places))
        for name, places in wanted.items():
            self._do(name, partial(self._give, places=places))

    def lose(self, name: str) -> None:
        """Kafka takes a member for dead; the others get its partitions before it knows."""
        others = [other for other, one in self.processes.items() if other != name and one.consumer]
        lost = self.processes.get(name)
        if not others or lost is None or lost.consumer is None:
            return
        places = lost.consumer.assignment()
        self.kafka.generation += 1
        for other in others:
            consumer = self.processes[other].consumer
            assert consumer is not None
            consumer.generation = self.kafka.generation
        self._do(others[0], lambda one: self._give(one, [*self._owned(one), *places]))
        self._do(others[0], lambda one: one.serve())
        consumer = lost.consumer
        if self.processes.get(name) is lost:
            # Now it joins again.
            consumer.generation = self.kafka.generation
            self._do(name, lambda one: consumer.on_lost(consumer, places))
            self._do(name, lambda one: one.serve())

    def follow(self, name: str, most: int = 1_000) -> None:
        """The member reads the state topic."""
        self._do(name, lambda one: one.follow(most))

    def serve(self, name: str) -> None:
        """The member does one round of its loop."""
        self._do(name, lambda one: one.serve())

    def admit(self) -> None:
        """The elected member does one round of admission."""
        self._do(self.elected, lambda one: one.admit())

    def drain(self) -> None:
        """Lets everything happen that can: at the end nothing is under way any more."""
        self.kill_at = ""
        for name in ("one", "two"):
            if name not in self.processes:
                self.start(name)
        self.seconds.now += 100
        for _ in range(12):
            if not self.elected:
                self.elect("one")
            self.expire()
            for name in list(self.processes):
                self.follow(name)
            self.share(["one", "two", "one"])
            for _ in range(4):
                self.seconds.now += 1
                self.admit()
                for name in list(self.processes):
                    self.follow(name)
                    self.serve(name)

    def close(self) -> None:
        """Ends the threads that load models, and removes the mirrors."""
        for process in self.processes.values():
            process.leave_office()
            process.mirror.close()

    def _owned(self, process: _Process) -> list[TopicPartition]:
        return [] if process.consumer is None else process.consumer.assignment()

    def _take_away(self, process: _Process, places: list[TopicPartition]) -> None:
        consumer = process.consumer
        if consumer is not None:
            consumer.generation = self.kafka.generation
            gone = [place for place in consumer.assignment() if place not in places]
            if gone:
                consumer.on_revoke(consumer, gone)

    def _give(self, process: _Process, places: list[TopicPartition]) -> None:
        consumer = process.consumer
        if consumer is not None:
            new = [place for place in places if place not in consumer.assignment()]
            consumer.on_assign(consumer, new)

    def _do(self, name: str, act: Callable[[_Process], None]) -> None:
        process = self.processes.get(name)
        if process is None:
            return
        try:
            act(process)
        except Killed:
            self.kill(name)
        except (Fenced, Interrupted):
            # The program serves again with a new member of the same name.
            self.start(name)

    def _passes(self, point: str) -> None:
        if self.kill_at == point:
            self.kill_at = ""
            raise Killed(point)

    def entries(self, kind: Kind) -> Iterator[tuple[int, str, bytes | None]]:
        """All messages of a kind in the state topic: number, data type and value."""
        for message in self.kafka.committed(STATE):
            of, data_type, _, _ = json.loads(message.key_bytes or b"")
            if of == kind.value:
                value = message.value()
                yield message.number, data_type, None if value is None else value[13:]


@contextmanager
def clusters(engine: FakeEngine, *, exactly_once: bool) -> Iterator[Cluster]:
    """Gives a cluster without members."""
    seconds = _Seconds()
    cluster = Cluster(engine, seconds, exactly_once=exactly_once)
    with pytest.MonkeyPatch.context() as patch:
        for module in (admitting, delivery, state_topic):
            patch.setattr(module, "Producer", cluster.kafka.producer)
        for module in (admitting, state_topic):
            patch.setattr(module, "Consumer", cluster.kafka.consumer)
        for module in (delivery, serving):
            patch.setattr(module, "time", seconds)
        patch.setattr(KindCheckedEngine, "load", lambda self, model, schema: self._engine.load(model, schema))
        patch.setattr(queue, "_QUICK_S", 60)
        try:
            yield cluster
        finally:
            cluster.close()
