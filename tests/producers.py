"""Producers that do what this project's own do not: every compression that Kafka knows."""

from __future__ import annotations

from confluent_kafka import Producer

from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.messaging.topics import TopicNames
from tests.job_models import constant_model, sample_records

__all__ = ["CODECS", "send_compressed"]

CODECS = ("gzip", "snappy", "lz4", "zstd")


def send_compressed(broker: EmbeddedBroker, topics: TopicNames, *, records: int = 20) -> None:
    """For each codec a model for the data type of that name, and records of it, in batches that it packs."""
    for codec in CODECS:
        producer = Producer(
            {
                "bootstrap.servers": broker.bootstrap_servers,
                "log_level": 0,
                "compression.type": codec,
                # Long enough that all records leave in one batch: a batch of one may be larger when packed,
                # and the client sends it as it is then.
                "linger.ms": 500,
            }
        )
        producer.produce(topics.models, constant_model(codec, 5.0).SerializeToString())
        for record in sample_records(codec, records):
            producer.produce(topics.data, record.SerializeToString())
        assert producer.flush(30) == 0
