"""How far a server is behind: counted by the Kafka client, told in the metrics."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

from model_serving.server.lag import Lag
from tests.jobs import eventually
from tests.unit.query.stand_in import KnownHere, Served


def statistics(*partitions: tuple[int, str, int]) -> str:
    """As much of librdkafka's STATISTICS.md as is needed: partition, state and lag."""
    counted = {
        str(number): {"partition": number, "fetch_state": state, "consumer_lag": lag}
        for number, state, lag in partitions
    }
    return json.dumps({"topics": {"mdata": {"topic": "mdata", "partitions": counted}}})


def test_only_partitions_that_are_read_and_counted_have_a_lag() -> None:
    lag = Lag("mdata")
    lag.take(
        statistics((0, "active", 7), (1, "active", -1), (2, "none", 9), (-1, "none", 0), (3, "active", 0))
    )
    assert lag.behind() == {("mdata", 0): 7, ("mdata", 3): 0}
    lag.take(json.dumps({"topics": {}}))
    assert lag.behind() == {}


def test_it_is_a_metric_by_partition_and_the_furthest_behind_are_shown() -> None:
    lag = Lag("mdata")
    served = Served(KnownHere(), lag=lag)

    def told() -> list[str]:
        text = served.client.get("/metrics").text
        return [line for line in text.splitlines() if line.startswith("model_serving_consumer_lag_records{")]

    lag.take(statistics((0, "active", 7), (1, "active", 900)))
    assert told() == [
        'model_serving_consumer_lag_records{topic="mdata",partition="1"} 900',
        'model_serving_consumer_lag_records{topic="mdata",partition="0"} 7',
    ]
    lag.take(statistics(*((number, "active", number) for number in range(1_500))))
    assert len(told()) == 1_000
    assert told()[0].endswith(" 1499")
    lag.forget()
    assert told() == []


def test_the_client_counts_what_was_not_read() -> None:
    """With librdkafka's own broker, which lives in the producer."""
    producer = Producer({"bootstrap.servers": "none", "test.mock.num.brokers": 1, "log_level": 0})
    for number in range(100):
        producer.produce("mdata", str(number), partition=0)
    assert producer.flush(30) == 0
    (mock,) = producer.list_topics(timeout=30).brokers.values()
    lag = Lag("mdata")
    settings: dict[str, Any] = lag.settings | {"statistics.interval.ms": 50, "log_level": 0}
    consumer = Consumer(settings | {"bootstrap.servers": f"{mock.host}:{mock.port}", "group.id": "g"})
    try:
        place = TopicPartition("mdata", 0, 0)
        consumer.assign([place])

        def is_behind(count: int) -> bool:
            assert consumer.consume(1, 0.05) == []
            return lag.behind() == {("mdata", 0): count}

        for more, behind in ((30, 70), (70, 0)):
            assert len(consumer.consume(more, 60)) == more
            # While it is paused, nothing is handed out, and what the client counts is told all the same.
            consumer.pause([place])
            eventually(partial(is_behind, behind), lambda: str(lag.behind()), within_s=60, step_s=0.01)
            consumer.resume([place])
    finally:
        consumer.close()
