"""The thread of admission: takes part in the election, and admits models while this member is elected."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from model_serving.events import Events
from model_serving.messaging.access import KafkaAccess
from model_serving.server.admitting import AdmittingMember
from model_serving.server.clients import group_consumer_settings
from model_serving.server.errors import Fenced, Interrupted

__all__ = ["AdmissionThread"]

_IDLE_S = 0.05
_PAUSE_S = 1.0


class AdmissionThread(threading.Thread):
    """Joins the group of the models topic. Whoever gets its first partition admits the models of all.

    ``failure`` is the error that has ended the thread.
    """

    def __init__(
        self,
        kafka: KafkaAccess,
        topic: str,
        group: str,
        name: str,
        refresh_ms: int,
        take_office: Callable[[Consumer], AdmittingMember],
        look_for_partitions: Callable[[AdmittingMember], None],
        events: Events,
    ) -> None:
        """``take_office`` makes what admits models; it may wait until the state topic has been read."""
        super().__init__(name="admission", daemon=True)
        self._consumer = Consumer(
            group_consumer_settings(kafka, group, name, refresh_ms)
            # Nothing is read here, but the client must not fetch large models only to drop them.
            | {"queued.max.messages.kbytes": 1_024, "queued.min.messages": 1}
        )
        self._topic = topic
        self._refresh_s = refresh_ms / 1000
        self._take_office = take_office
        self._look_for_partitions = look_for_partitions
        self._events = events
        self._elected = False
        self._member: AdmittingMember | None = None
        self._look_s = time.monotonic() + self._refresh_s
        self._ended = threading.Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Takes part until ``stop`` is called."""
        try:
            self._consumer.subscribe([self._topic], on_assign=self._came, on_revoke=self._went)
            while not self._ended.is_set():
                self._poll(0 if self._member else _IDLE_S)
                try:
                    self._round()
                # Fenced: somebody else is elected by now, which this member learns a moment later.
                # KafkaException: Kafka does not answer now.
                except (Fenced, Interrupted, KafkaException) as error:
                    if not self._ended.is_set():
                        self._events.tell("interrupted", f"admission begins again: {error}")
                    self._leave_office()
                    self._ended.wait(_PAUSE_S)
        except Exception as error:  # noqa: BLE001 - the main thread reports it and ends the program
            self.failure = error
        finally:
            self._leave_office()
            self._consumer.close()

    def stop(self) -> None:
        """Ends the thread, and waits for it."""
        self._ended.set()
        self.join()

    def _round(self) -> None:
        if not self._elected:
            self._leave_office()
            return
        if self._member is None:
            self._member = self._take_office(self._consumer)
            self._events.tell("admission", "admits models from now on")
        self._member.step()
        if self._refresh_s and time.monotonic() > self._look_s:
            self._look_s = time.monotonic() + self._refresh_s
            self._look_for_partitions(self._member)

    def _leave_office(self) -> None:
        member, self._member = self._member, None
        if member is not None:
            member.close()

    def _poll(self, timeout_s: float) -> None:
        message = self._consumer.poll(timeout_s)
        error = None if message is None else message.error()
        if error is not None and error.code() == KafkaError.FENCED_INSTANCE_ID:
            raise Fenced(error.str())

    def _came(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        consumer.assign(places)
        if places:
            consumer.pause(places)
        self._elected = any(place.partition == 0 for place in places)

    def _went(self, consumer: Consumer, _places: list[TopicPartition]) -> None:
        self._elected = False
        consumer.unassign()
