"""Kafka's clients that a member serves with, opened ahead: each takes half a second until it can write."""

from __future__ import annotations

from dataclasses import dataclass

from confluent_kafka import Consumer

from model_serving.flags import Delivery as Guarantee
from model_serving.messaging.connection import SOON_AGAIN
from model_serving.server.clients import group_consumer_settings
from model_serving.server.config import ServerConfig
from model_serving.server.delivery import AtLeastOnce, Delivery
from model_serving.server.exactly_once import ExactlyOnce
from model_serving.server.lag import Lag
from model_serving.server.progress import Progress
from model_serving.server.state_topic import StateSender

__all__ = ["OpenedClients", "open_clients"]

_QUEUED_KIB = 65_536
_QUEUED_MESSAGES = 200_000
_FETCH_BYTES = 10 << 20


@dataclass(frozen=True, slots=True)
class OpenedClients:
    """What writes to the state topic, what reads records, how far they are served, and what writes results.

    The consumer has not joined its group, and nothing was written. Close them once.
    """

    sender: StateSender
    consumer: Consumer
    progress: Progress
    delivery: Delivery
    lag: Lag | None

    def close(self) -> None:
        """Ends the delivery without committing what is open, then leaves the group."""
        self.delivery.close()
        self.consumer.close()
        if self.lag is not None:
            self.lag.forget()


def open_clients(config: ServerConfig, lag: Lag | None) -> OpenedClients:
    """Clients that begin to connect, which needs no time of the caller; Kafka need not be there yet.

    ``lag`` is told how far the consumer is behind; without it, that is not counted.
    """
    progress = Progress(config.data_topic)
    consumer = Consumer(
        group_consumer_settings(
            config.kafka, config.data_group, config.name, config.partition_discovery_interval_ms
        )
        | {
            "partition.assignment.strategy": "cooperative-sticky",
            "queued.max.messages.kbytes": _QUEUED_KIB,
            "queued.min.messages": _QUEUED_MESSAGES,
            "fetch.message.max.bytes": _FETCH_BYTES,
            "fetch.wait.max.ms": 100,
            **SOON_AGAIN,
            "enable.partition.eof": config.bounded,
        }
        | ({} if lag is None else lag.settings)
    )
    sender = StateSender(config.kafka, config.state_topic)
    return OpenedClients(sender, consumer, progress, _delivery(config, consumer, progress), lag)


def _delivery(config: ServerConfig, consumer: Consumer, progress: Progress) -> Delivery:
    interval_s = config.commit_interval_ms / 1000
    if config.delivery is Guarantee.EXACTLY_ONCE:
        name = f"{config.data_group}-{config.state_topic}-{config.name}"
        return ExactlyOnce(config.kafka, consumer, progress, config.state_topic, interval_s, name)
    return AtLeastOnce(config.kafka, consumer, progress, config.state_topic, interval_s)
