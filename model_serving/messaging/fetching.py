"""Reads one message of a topic by its place, without leaving traces."""

from __future__ import annotations

import time

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.connection import passes, reader_settings
from model_serving.messaging.errors import BrokerUnreachable, MessagingError

__all__ = ["message_at"]

_LOOK_S = 0.1


def message_at(kafka: KafkaAccess, topic: str, partition: int, offset: int, timeout_s: float) -> bytes:
    """The message at an offset of a partition.

    Raises:
        BrokerUnreachable: it did not come within ``timeout_s`` seconds.
        MessagingError: the topic does not have it any more, or Kafka refuses to let it be read.
    """
    consumer = Consumer(reader_settings(kafka) | {"auto.offset.reset": "error", "queued.min.messages": 1})
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
