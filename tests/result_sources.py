"""The header with which a result of a Spark job names its record, held against what the data topic holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition
from google.protobuf.message import DecodeError

from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.messaging.sources import Source, source_of
from model_serving.messaging.topics import TopicNames
from model_serving.protos.servingresult_pb2 import ServingResult
from model_serving.protos.winerecord_pb2 import WineRecord
from tests.patience import Patience, patience

__all__ = ["assert_results_name_their_records"]

_WITHIN_S = 60.0


def assert_results_name_their_records(broker: EmbeddedBroker, topics: TopicNames) -> Counter[int]:
    """Every result has one header, which is the place of the record that has its data type and time.

    The first results of a data type are in the order of its records, for each partition of the data topic.
    Returns the number of results by partition; a record may have several.
    """
    records = {
        Source(topics.data, one.partition() or 0, one.offset() or 0): _told(one.value() or b"")
        for one in _all(broker, topics.data)
    }
    last: dict[tuple[str, int], int] = {}
    counted: Counter[int] = Counter()
    seen = set()
    for message in _all(broker, topics.results):
        result, headers = ServingResult.FromString(message.value() or b""), message.headers()
        source = source_of(headers)
        assert source is not None, result
        assert len(headers or ()) == 1, headers
        assert records[source] == (result.dataType, result.submissionTs), source
        counted[source.partition] += 1
        if source not in seen:
            place = (result.dataType, source.partition)
            assert source.offset > last.get(place, -1), f"{source} after {last[place]}: {result}"
            last[place] = source.offset
        seen.add(source)
    return counted


def _told(record: bytes) -> tuple[str, int] | None:
    """The data type and the time of a record; None for what is none."""
    try:
        found = WineRecord.FromString(record)
    except DecodeError:
        return None
    return found.dataType, found.ts


def _all(broker: EmbeddedBroker, topic: str) -> Iterator[Message]:
    """The messages of a topic until now, partition by partition."""
    consumer = Consumer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": "unused",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.message.max.bytes": 34 << 20,
        }
    )
    try:
        for partition in sorted(consumer.list_topics(topic, timeout=patience(30)).topics[topic].partitions):
            consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
            wait = Patience(_WITHIN_S)
            has_ended = False
            while not has_ended:
                assert not wait.is_over, f"{topic} is not read to its end within {_WITHIN_S:g} s"
                for message in consumer.consume(5_000, 0.2):
                    error = message.error()
                    if error is None:
                        yield message
                    elif error.code() == KafkaError._PARTITION_EOF:
                        has_ended = True
    finally:
        consumer.close()
