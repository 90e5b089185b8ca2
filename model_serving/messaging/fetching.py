"""Reads one message of a topic by its place, without leaving traces."""

from __future__ import annotations

import time
import uuid

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.connection import client_settings, passes
from model_serving.messaging.errors import BrokerUnreachable, MessagingError
from model_serving.messaging.topics import DEAD_LETTER_BYTES

__all__ = ["message_at"]

_LOOK_S = 0.1


def message_at(kafka: KafkaAccess, topic: str, partition: int, offset: int, timeout_s: float) -> bytes:
    """The message at an offset of a partition.

    Raises:
        BrokerUnreachable: it did not come within ``timeout_s`` seconds.
        MessagingError: the topic does not have it any more, or Kafka refuses to let it be read.
    """
    consumer = Consumer(
        client_settings(kafka)
        | {
            # The client demands a group name; with assign() it never joins the group.
            "group.id": f"model-serving-fetch-{uuid.uuid4()}",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 100,
            "fetch.message.max.bytes": DEAD_LETTER_BYTES,
            "fetch.max.bytes": 2 * DEAD_LETTER_BYTES,
            "queued.min.messages": 1,
        }
    )
    gone = MessagingError(f"the topic '{topic}' does not have the message at offset {offset} any more")
    end_s = time.monotonic() + timeout_s
    try:
        consumer.assign([TopicPartition(topic, partition, offset)])
        while (left_s := end_s - time.monotonic()) > 0:
            message = consumer.poll(min(left_s, _LOOK_S))
            if message is None:
                continue
            if (error := message.error()) is None:
                if message.offset() != offset:
                    raise gone
                return bytes(message.value() or b"")
            if error.code() in (KafkaError._PARTITION_EOF, KafkaError._AUTO_OFFSET_RESET):  # noqa: SLF001
                raise gone
            if not passes(error):
                raise MessagingError(f"'{topic}' cannot be read ({error.str()}): look at Kafka")
    except KafkaException as error:
        raise MessagingError(f"'{topic}' cannot be read ({error.args[0].str()}): look at Kafka") from error
    finally:
        consumer.close()
    raise BrokerUnreachable(kafka.bootstrap_servers)
