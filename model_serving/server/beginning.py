"""Where a group of members begins to read when its state topic is new: chosen once, by one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from confluent_kafka import Consumer, KafkaException, TopicPartition

from model_serving.flags import StartingOffsets
from model_serving.messaging.errors import MessagingError
from model_serving.server.clients import server_client
from model_serving.server.config import ServerConfig
from model_serving.server.entries import Entry, Key, Kind
from model_serving.server.errors import Interrupted
from model_serving.server.members import Members, Registration
from model_serving.server.mirror import Mirror
from model_serving.server.ports import EndOffsets, EntrySender

__all__ = ["Beginning", "TopicPlaces"]

_BEGINNING = -2
"""Kafka's number for the beginning of a partition."""

_LOOK_S = 0.05
_FLUSH_S = 10.0


class TopicPlaces(EndOffsets, Protocol):
    """Also knows the partitions of topics."""

    def partitions(self, topic: str) -> Iterable[int]:
        """The partitions of a topic.

        Raises:
            KafkaException: Kafka does not answer.
        """
        ...


class Beginning:
    """Carries ``--starting-offsets`` out, before the very first record that a state topic is used for."""

    def __init__(
        self, config: ServerConfig, mirror: Mirror, sender: EntrySender, topics: TopicPlaces
    ) -> None:
        self._config = config
        self._mirror = mirror
        self._sender = sender
        self._topics = topics

    def choose(self, registration: Registration, goes_on: Callable[[], bool]) -> None:
        """Chooses, unless somebody has; call it once the registration is known.

        Of members that start at the same time, the one that registered first chooses, and the others wait for
        it. When it has joined the group, Kafka would refuse the offsets that another one sets. ``goes_on`` is
        called again and again; False ends the waiting.

        Raises:
            MessagingError: others read in the data group already.
            Interrupted: Kafka does not take the choice.
            KafkaException: Kafka does not answer.
        """
        started, members = Key(Kind.STARTED), Members(self._mirror)
        try:
            while self._mirror.get(started) is None:
                if not members.before(registration.since):
                    self._set()
                    return
                if not goes_on():
                    return
                with self._mirror.changed:
                    self._mirror.changed.wait(_LOOK_S)
        finally:
            members.close()

    def models_position(self, place: int) -> int:
        """Where the admitting member goes on in this partition of the models topic."""
        saved = self._mirror.get(Key(Kind.POSITION, "", str(place)))
        return _BEGINNING if saved is None else int(saved)

    def _set(self) -> None:
        config = self._config
        entries = []
        if config.starting_offsets is not StartingOffsets.COMMITTED:
            latest = config.starting_offsets is StartingOffsets.LATEST
            places = list(self._topics.partitions(config.data_topic))
            ends = self._topics.of(config.data_topic, places)
            self._commit({place: ends[place] if latest else 0 for place in places})
            if latest:
                models = self._topics.of(config.models_topic, self._topics.partitions(config.models_topic))
                entries = [
                    Entry(Key(Kind.POSITION, "", str(place)), str(end).encode())
                    for place, end in models.items()
                ]
        # In one partition, so whoever knows that there was a start knows the positions.
        self._sender.send([*entries, Entry(Key(Kind.STARTED), b"1")])
        if not self._sender.flush(_FLUSH_S):
            raise Interrupted("the state topic takes nothing")

    def _commit(self, offsets: Mapping[int, int]) -> None:
        consumer = Consumer(server_client(self._config.kafka) | {"group.id": self._config.data_group})
        try:
            consumer.commit(
                offsets=[TopicPartition(self._config.data_topic, *place) for place in offsets.items()],
                asynchronous=False,
            )
        except KafkaException as error:
            raise MessagingError(
                f"--starting-offsets cannot be set ({error.args[0].str()}): others read in the group "
                f"'{self._config.data_group}'; end them or choose another --data-group"
            ) from error
        finally:
            consumer.close()
