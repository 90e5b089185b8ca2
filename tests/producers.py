"""Producers that use every compression of Kafka, which this project's own producers do not."""

from __future__ import annotations

from confluent_kafka import Producer

from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.messaging.topics import TopicNames
from tests.job_models import constant_model, sample_records

__all__ = ["CODECS", "send_compressed"]

CODECS = ("gzip", "snappy", "lz4", "zstd")


def send_compressed(broker: EmbeddedBroker, topics: TopicNames, *, records: int = 20) -> None:
    """Sends a model and records for each codec, compressed with it; the data type has the codec's name."""
    for codec in CODECS:
        producer = Producer(
            {
                "bootstrap.servers": broker.bootstrap_servers,
                "log_level": 0,
                "compression.type": codec,
                # All records leave in one batch in this time. A batch of one record may be larger when
                # compressed, and the client then sends it without compression.
                "linger.ms": 500,
            }
        )
        producer.produce(topics.models, constant_model(codec, 5.0).SerializeToString())
        for record in sample_records(codec, records):
            producer.produce(topics.data, record.SerializeToString())
        assert producer.flush(30) == 0
