"""One member of a server without threads, over a Kafka in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from model_serving.assembly import build
from model_serving.core.admission.queue import ModelQueue
from model_serving.core.pool import ModelPool
from model_serving.events import Events, LogFormat
from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.topics import TopicNames
from model_serving.server.active import ActiveInState
from model_serving.server.admitting import AdmittingMember
from model_serving.server.confirmations import Confirmations
from model_serving.server.contents import ContentsInState
from model_serving.server.delivery import AtLeastOnce, Delivery
from model_serving.server.entries import Key, Kind
from model_serving.server.exactly_once import ExactlyOnce
from model_serving.server.members import Members, Registration
from model_serving.server.mirror import Mirror
from model_serving.server.progress import Progress
from model_serving.server.serving import ServingLoop
from model_serving.server.state_topic import StateSender, StateTail, TopicEnds
from model_serving.server.swaps import Swap, SwapQueue
from model_serving.server.view import KeptInView, PendingInView, StateView
from model_serving.server.waiting import WaitingInState
from tests.fake_kafka import FakeConsumer

if TYPE_CHECKING:
    from tests.unit.server.cluster import Cluster

__all__ = ["STATE", "TOPICS", "Process"]

TOPICS = TopicNames()
STATE = "state"
_ACCESS = KafkaAccess("localhost:1", {})


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

    def __init__(self, cluster: Cluster, member: Process) -> None:
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
        self.member.connect()
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


class Process:
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
            if self.loop._delivery.holds_back:
                self._cluster.passes("while output is held")

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
            lambda: False,
        )
        loop.start()
        self.loop = loop
