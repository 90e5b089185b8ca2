"""Messages that tests put into topics by themselves."""

from __future__ import annotations

from collections.abc import Callable

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from model_serving.protos.deadletter_pb2 import DeadLetter
from model_serving.protos.modelstatus_pb2 import ModelStatus
from tests.jobs import eventually

__all__ = ["committed_end", "create", "send", "wait_until"]


def create(admin: AdminClient, topic: str, partitions: int = 1) -> None:
    admin.create_topics([NewTopic(topic, num_partitions=partitions, replication_factor=1)])[topic].result(20)


def send(
    bootstrap_servers: str,
    topic: str,
    *messages: ModelStatus | DeadLetter | bytes | None,
    partition: int = 0,
    transactional: bool = False,
) -> None:
    """Sends messages and waits until they are delivered; None deletes a key."""
    settings = {"bootstrap.servers": bootstrap_servers, "transactional.id": topic} if transactional else {}
    producer = Producer({"bootstrap.servers": bootstrap_servers} | settings)
    if transactional:
        producer.init_transactions(20)
        producer.begin_transaction()
    for one in messages:
        payload = one if one is None or isinstance(one, bytes) else one.SerializeToString()
        producer.produce(topic, payload, key=b"k", partition=partition)
    if transactional:
        producer.commit_transaction(20)
        # The mark is written a little after the client has been told of the commit.
        wait_until(lambda: committed_end(bootstrap_servers, topic) > len(messages), "there is no mark")
    assert producer.flush(20) == 0


def committed_end(bootstrap_servers: str, topic: str) -> int:
    """Where a reader of committed messages has reached the end of partition 0."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap_servers, "group.id": "end", "isolation.level": "read_committed"}
    )
    try:
        return int(consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=20)[1])
    finally:
        consumer.close()


def wait_until(holds: Callable[[], bool], what: str) -> None:
    eventually(holds, lambda: what, within_s=30, step_s=0.05)
