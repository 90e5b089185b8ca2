"""Makes the configuration files of the embedded broker. Pure: settings in, text out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import javaproperties

from model_serving.messaging.topics import DEAD_LETTER_BYTES

__all__ = ["LOG4J2_PROPERTIES", "SecuredListener", "server_properties"]

LOG4J2_PROPERTIES = """\
# One file, and only what a reader needs when the broker does not start or refuses something.
rootLogger.level = WARN
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %-5p %c{1}: %m%n
logger.server.name = kafka.server.KafkaRaftServer
logger.server.level = INFO
"""


@dataclass(frozen=True, slots=True)
class SecuredListener:
    """A second listener on 127.0.0.1, for clients with TLS or a login, in addition to the open one.

    ``protocol`` is one of Kafka's (SSL, SASL_PLAINTEXT, SASL_SSL). ``settings`` are those in the section
    "Security" of Kafka's documentation, without the prefix ``listener.name.….``. They hold secrets.
    """

    protocol: str
    port: int
    settings: Mapping[str, str] = field(repr=False)


def server_properties(
    *, port: int, controller_port: int, log_dir: Path, secured: SecuredListener | None = None
) -> str:
    """Returns the properties of a single node that is broker and controller (KRaft) and starts quickly.

    It listens on 127.0.0.1. Its internal topics have one partition and one replica, so that transactions and
    consumer groups work at once on a single node.
    """
    settings = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": log_dir,
        "num.partitions": 1,
        "offsets.topic.num.partitions": 1,
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.num.partitions": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "share.coordinator.state.topic.num.partitions": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        # A job that was down for a night can still commit the transactions that it had prepared.
        "transaction.max.timeout.ms": 24 * 60 * 60 * 1000,
        "group.initial.rebalance.delay.ms": 0,
        # Kafka's own 100 KiB make two hundred reads of a message of 20 MB, each with a new buffer for all
        # that is still to come. With -1, the operating system lets the buffers grow.
        "socket.receive.buffer.bytes": -1,
        "socket.send.buffer.bytes": -1,
        "message.max.bytes": DEAD_LETTER_BYTES,
        "replica.fetch.max.bytes": DEAD_LETTER_BYTES,
        "replica.fetch.response.max.bytes": 2 * DEAD_LETTER_BYTES,
        # The buffer is taken from the heap at the start, and only the small internal topics are compacted.
        "log.cleaner.dedupe.buffer.size": 8 * 1024 * 1024,
    }
    if secured is not None:
        name = secured.protocol
        door = f",{name}://127.0.0.1:{secured.port}"
        settings["listeners"] = f"{settings['listeners']}{door}"
        settings["advertised.listeners"] = f"{settings['advertised.listeners']}{door}"
        settings["listener.security.protocol.map"] = (
            f"{settings['listener.security.protocol.map']},{name}:{name}"
        )
        prefix = f"listener.name.{name.lower()}."
        settings |= {prefix + key: value for key, value in secured.settings.items()}
    return javaproperties.dumps({key: str(value) for key, value in settings.items()}, timestamp=False)
