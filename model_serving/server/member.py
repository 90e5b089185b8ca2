"""One process that serves: everything it consists of, how it starts, and how it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from contextlib import ExitStack
from functools import partial
from threading import Event

from confluent_kafka import Consumer, KafkaException

from model_serving.assembly import Parts, build, new_pool, new_recorder, new_reporter
from model_serving.core.clock import SystemClock
from model_serving.events import Events
from model_serving.server.active import ActiveInState
from model_serving.server.admitting import AdmittingMember
from model_serving.server.beginning import Beginning
from model_serving.server.bounds import Bounds
from model_serving.server.config import ServerConfig
from model_serving.server.confirmations import Confirmations
from model_serving.server.contents import ContentsInState
from model_serving.server.election import AdmissionThread
from model_serving.server.entries import Kind
from model_serving.server.errors import Fenced, Interrupted
from model_serving.server.garbage import keep_for_good
from model_serving.server.health import Health
from model_serving.server.members import Members, Registration, Signs
from model_serving.server.mirror import Mirror
from model_serving.server.opened import OpenedClients
from model_serving.server.serving import ServingLoop
from model_serving.server.state_topic import StateTail, TopicEnds
from model_serving.server.swaps import SwapQueue
from model_serving.server.transactions import translated
from model_serving.server.vacancies import KafkaGroup, Vacancies
from model_serving.server.view import KeptInView, PendingInView, StateView
from model_serving.server.waiting import WaitingInState

__all__ = ["Member"]

_STATE_S = 120.0
_LOOK_S = 0.05
_TAKEN_OVER_S = 3.0
_LAST_REPORT_S = 3.0


class Member:
    """Serves until it is told to stop or, with bounds, until all is read. Call ``run`` once.

    Raises:
        Fenced: another process has this one's name.
        Interrupted: Kafka refused something; begin again with a new member.
        MessagingError: Kafka cannot be used as it is.
    """

    def __init__(
        self,
        config: ServerConfig,
        clients: OpenedClients,
        events: Events,
        health: Health,
        bounds: Bounds | None,
    ) -> None:
        """The member closes ``clients`` when its run ends."""
        self._config = config
        self._events = events
        self._health = health
        self._bounds = bounds
        self._closing = ExitStack()
        self._mirror = Mirror()
        self._tail = StateTail(config.kafka, config.state_topic, self._mirror)
        self._clients = clients
        self._sender = clients.sender
        self._ends = TopicEnds(config.kafka)
        self._beginning = Beginning(config, self._mirror, self._sender, self._ends)
        store = ContentsInState(self._mirror, self._sender, config.state_topic)
        clock = SystemClock()
        # A member is a run of its own in the statistics: its counts begin at 0.
        self._reporter = new_reporter(config.serving)
        self._recorder = None
        if self._reporter is not None:
            self._recorder = new_recorder(config.serving, config.name, clock)
        self._pool = new_pool()
        self._parts: Parts = build(config.serving, clock, self._pool, store=store, recorder=self._recorder)
        self._state_is_known = Event()
        self._ending = Event()

    def run(self, stopping: Callable[[], bool]) -> None:
        """Serves until ``stopping`` says so or, in a bounded run, until the end of the input."""
        with self._closing as closing:
            if self._reporter is not None and self._recorder is not None:
                self._reporter.add(self._recorder)
                closing.callback(self._reporter.remove, self._recorder, _LAST_REPORT_S)
            closing.callback(self._mirror.close)
            closing.callback(self._ends.close)
            registration = Registration(self._config.name, self._sender, self._mirror)
            signs = Signs(registration)
            self._tail.start()
            closing.callback(self._tail.stop)
            # Takes part in the election from the beginning: only who is elected ends the transaction that a
            # killed member has left open, and nobody can read the state topic past it before that.
            admission = self._admission()
            admission.start()
            closing.callback(admission.stop)
            closing.callback(self._ending.set)
            closing.callback(self._leave, registration)
            signs.start()
            closing.callback(signs.stop)
            closing.callback(self._clients.close)
            try:
                self._register(registration, admission, stopping)
                self._serve(closing, registration, signs, admission, stopping)
            except (Fenced, Interrupted) as error:
                raise self._why(error, registration) from error
            except KafkaException as error:
                raise self._why(translated(error, "a request to Kafka"), registration) from error

    def _register(
        self, registration: Registration, admission: AdmissionThread, stopping: Callable[[], bool]
    ) -> None:
        """Registers, and waits until everything that was in the state topic before is known."""
        start_s = time.monotonic()

        def goes_on() -> bool:
            self._health.tick(reads=False)
            self._check(admission)
            return not stopping()

        while not registration.is_known:
            if not goes_on():
                return
            with self._mirror.changed:
                self._mirror.changed.wait(_LOOK_S)
            if time.monotonic() - start_s > _STATE_S:
                raise Interrupted(
                    f"the state topic '{self._config.state_topic}' was not read to its end in {_STATE_S:g} s"
                )
        self._beginning.choose(registration, goes_on)
        if stopping():
            return
        self._state_is_known.set()
        data_types = len(self._mirror.keys(Kind.ACTIVATION))
        self._events.tell(
            "state",
            f"knows {data_types} data types from '{self._config.state_topic}' "
            f"({time.monotonic() - start_s:.1f} s)",
            data_types=data_types,
        )

    def _serve(
        self,
        closing: ExitStack,
        registration: Registration,
        signs: Signs,
        admission: AdmissionThread,
        stopping: Callable[[], bool],
    ) -> None:
        if stopping():
            return
        config = self._config
        loop = self._loop(closing)
        keep_for_good()
        loop.start()
        vacancies = Vacancies(
            config.name, partial(KafkaGroup, config.kafka, config.data_group, config.data_topic)
        )
        vacancies.start()
        closing.callback(vacancies.stop)
        said: frozenset[int] = frozenset()
        while not stopping():
            signs.tick()
            if registration.is_taken_over:
                raise Fenced
            loop.step()
            self._health.tick(reads=loop.has_joined)
            self._check(admission)
            if vacant := vacancies.take():
                loop.join_anew()
                self._events.tell(
                    "vacant",
                    f"nobody reads partitions {_shown(vacant)} of '{config.data_topic}': this member joins "
                    f"the group '{config.data_group}' anew, so that it shares them",
                )
            if loop.partitions != said:
                said = loop.partitions
                self._events.tell("partitions", f"reads partitions {_shown(said)} of '{config.data_topic}'")
            if self._bounds is not None and loop.is_at_end and self._bounds.has_models_in(self._mirror):
                loop.end(patience_s=config.remote_timeout_ms / 1000)
                break
        loop.stop()

    def _why(self, error: Exception, registration: Registration) -> Fenced | Interrupted:
        """Kafka's clients say that they are fenced also after a broker has died; the registration knows."""
        if isinstance(error, Interrupted) and not registration.is_taken_over:
            return error
        end_s = time.monotonic() + _TAKEN_OVER_S
        with self._mirror.changed:
            while not registration.is_taken_over and time.monotonic() < end_s:
                self._mirror.changed.wait(_LOOK_S)
        return (
            Fenced() if registration.is_taken_over else Interrupted(f"Kafka has let this member go ({error})")
        )

    def _leave(self, registration: Registration) -> None:
        try:
            registration.leave()
        except KafkaException:
            # Others find out by themselves, when this member shows no sign of life any more.
            return
        self._sender.flush(2.0)

    def _check(self, admission: AdmissionThread) -> None:
        for failure in (admission.failure, self._tail.failure):
            if failure is not None:
                raise failure

    def _admission(self) -> AdmissionThread:
        config = self._config
        return AdmissionThread(
            config.kafka,
            config.models_topic,
            config.models_group,
            config.name,
            config.partition_discovery_interval_ms,
            self._take_office,
            self._look_for_partitions,
            self._events,
        )

    def _take_office(self, elected: Consumer) -> AdmittingMember:
        config = self._config
        view = StateView(self._mirror)
        member = AdmittingMember(
            config.kafka,
            config.topic_names,
            config.state_topic,
            f"{config.models_group}-{config.state_topic}-admission",
            elected,
            self._parts.gate(0),
            self._parts.queue(KeptInView(view), PendingInView(view), 0),
            view,
            Confirmations(self._mirror, view, Members(self._mirror), self._swapped),
            self._events,
            SystemClock(),
        )
        try:
            member.connect()
            # Only now nobody else writes: the transactions of the member before are over.
            while not self._state_is_known.wait(_LOOK_S):
                if self._ending.is_set():
                    raise Interrupted("the server ends")
            target = self._ends.of(config.state_topic, [0])
            if not self._mirror.wait_until(target, timeout_s=_STATE_S):
                raise Interrupted("the state topic was not read to its end")
            member.resume()
            self._look_for_partitions(member)
        except BaseException:
            member.close()
            raise
        return member

    def _swapped(self, order: bytes) -> bytes:
        return self._parts.swapped(order, self._config.name, 0)

    def _look_for_partitions(self, member: AdmittingMember) -> None:
        new = set(self._ends.partitions(self._config.models_topic)) - member.partitions
        if new:
            member.add_partitions({place: self._beginning.models_position(place) for place in sorted(new)})

    def _loop(self, closing: ExitStack) -> ServingLoop:
        config, clients = self._config, self._clients
        waiting = WaitingInState(self._mirror)
        swaps = SwapQueue(self._mirror, self._parts.lease)
        swaps.follow()
        closing.callback(swaps.stop)
        desk = self._parts.desk(ActiveInState(self._mirror), waiting, config.name, 0)
        closing.callback(desk.close)
        return ServingLoop(
            config.name,
            clients.consumer,
            clients.delivery,
            clients.progress,
            desk,
            self._parts.codec,
            waiting,
            swaps,
            self._mirror,
            self._sender,
            self._ends,
            config.topic_names,
            config.state_topic,
            lambda: self._pool.is_loading,
            until=None if self._bounds is None else self._bounds.data,
        )


def _shown(partitions: Collection[int]) -> str:
    return ", ".join(map(str, sorted(partitions))) or "none"
