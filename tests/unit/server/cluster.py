"""Several members of a server over one Kafka in memory; a test decides who does what, step by step."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from threading import Thread

import pytest
from confluent_kafka import TopicPartition

from model_serving.core.admission import queue
from model_serving.core.scoring.waiting import NoModelPolicy, WaitingPolicy
from model_serving.engines.content import KindCheckedEngine
from model_serving.server import admitting, delivery, partitions, serving, state_topic, transactions
from model_serving.server import exactly_once as in_transactions
from model_serving.server.entries import Kind
from model_serving.server.errors import Fenced, Interrupted
from model_serving.server.state_topic import PARTITIONS
from model_serving.settings import ServingSettings
from model_serving.testing import FakeClock, FakeEngine
from tests.fake_kafka import FakeKafka
from tests.unit.server.later import HeldThreads, Killed
from tests.unit.server.process import STATE, TOPICS, Process

__all__ = ["DATA_PARTITIONS", "TOPICS", "Cluster", "Killed", "clusters"]

DATA_PARTITIONS = 3
_RECORD = "model_serving.protos.winerecord_pb2:WineRecord"


class _Seconds:
    """Stands for the module ``time``."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Cluster:
    """The members by name. What a member does may kill it; ``kill_at`` names the point where.

    ``hold_at`` names the point where a commit stays under way until ``commit``.
    """

    def __init__(self, engine: FakeEngine, seconds: _Seconds, *, exactly_once: bool) -> None:
        topics = dict.fromkeys(TOPICS.all(), 1) | {TOPICS.data: DATA_PARTITIONS, STATE: PARTITIONS}
        self.kafka = FakeKafka(topics)
        self.kafka.point = self.passes
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
        self.processes: dict[str, Process] = {}
        self.elected = ""
        self.kill_at = ""
        self.hold_at = "before a commit"
        self._dead_ids: set[str] = set()
        # The commits of each process that are under way.
        self._commits: dict[Process, HeldThreads] = {}
        self._acting: Process | None = None

    def start(self, name: str) -> None:
        """Starts a process, which takes over if one of this name runs."""
        self.kill(name)
        self.processes[name] = Process(self, name)

    def kill(self, name: str) -> None:
        """Ends a process as kill -9 does; its transaction stays open."""
        process = self.processes.pop(name, None)
        if process is not None:
            self._commits_of(process).kill()
            del self._commits[process]
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

    def commit(self, name: str) -> None:
        """Kafka carries out the commit of the member that is under way; the member learns of it later."""

        def end(process: Process) -> None:
            before = self.kill_at
            self._commits_of(process).go_on()
            if self.kill_at != before:
                raise Killed(before)

        self._do(name, end)

    def admit(self) -> None:
        """The elected member does one round of admission."""
        self._do(self.elected, lambda one: one.admit())

    def drain(self) -> None:
        """Lets everything happen that can: at the end nothing is under way any more."""
        self.kill_at = ""
        for name in ("one", "two"):
            if name not in self.processes:
                self.start(name)
        for name in list(self.processes):
            # Nobody may be silent for long while a commit is under way: its time is over before.
            self.commit(name)
            self.serve(name)
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
                    self.commit(name)

    def thread(self, target: Callable[[], None], name: str, daemon: bool) -> Thread:
        """Stands for ``threading.Thread``: a thread of the process that acts now."""
        assert self._acting is not None
        return self._commits_of(self._acting).thread(target, name, daemon)

    def passes(self, point: str) -> None:
        """Kills the process that acts, if it is to be killed at this point; holds a commit."""
        if point == self.hold_at:
            HeldThreads.hold()
        if self.kill_at == point:
            self.kill_at = ""
            raise Killed(point)

    def close(self) -> None:
        """Ends the threads that load models, and removes the mirrors."""
        for process in self.processes.values():
            self._commits_of(process).kill()
            process.leave_office()
            process.mirror.close()

    def _commits_of(self, process: Process) -> HeldThreads:
        return self._commits.setdefault(process, HeldThreads())

    def _owned(self, process: Process) -> list[TopicPartition]:
        return [] if process.consumer is None else process.consumer.assignment()

    def _take_away(self, process: Process, places: list[TopicPartition]) -> None:
        consumer = process.consumer
        if consumer is not None:
            consumer.generation = self.kafka.generation
            gone = [place for place in consumer.assignment() if place not in places]
            if gone:
                consumer.on_revoke(consumer, gone)

    def _give(self, process: Process, places: list[TopicPartition]) -> None:
        consumer = process.consumer
        if consumer is not None:
            new = [place for place in places if place not in consumer.assignment()]
            consumer.on_assign(consumer, new)

    def _do(self, name: str, act: Callable[[Process], None]) -> None:
        process = self.processes.get(name)
        if process is None:
            return
        before, self._acting = self._acting, process
        try:
            act(process)
        except Killed:
            self.kill(name)
        except (Fenced, Interrupted):
            # The program serves again with a new member of the same name.
            self.start(name)
        finally:
            self._acting = before

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
        for module in (delivery, in_transactions, transactions, serving):
            patch.setattr(module, "time", seconds)
        patch.setattr(transactions, "Thread", cluster.thread)
        patch.setattr(KindCheckedEngine, "load", lambda self, model, schema: self._engine.load(model, schema))
        patch.setattr(queue, "_QUICK_S", 60)
        # The mirror follows in the same thread, so nothing comes while it is waited for.
        patch.setattr(partitions, "_SOON_S", 0)
        try:
            yield cluster
        finally:
            cluster.close()
