"""The flags that every host has, with their defaults and the functions that read them."""

from __future__ import annotations

from model_serving.core.model_servers.outage import OutagePolicy
from model_serving.core.scoring.input_policy import MissingPolicy
from model_serving.core.scoring.waiting import NoModelPolicy
from model_serving.flags.config import Delivery, StartingOffsets
from model_serving.flags.parsing import Flag
from model_serving.flags.values import (
    read_ca_file,
    read_choice,
    read_headers_file,
    read_hours,
    read_kafka_file,
    read_key_file,
    read_number,
    read_places,
    read_record_type,
    read_servers,
    read_store,
    read_switch,
    read_text,
    read_topic,
    read_topic_or_none,
)
from model_serving.messaging.topics import TopicNames

__all__ = ["SHARED"]

_MEBIBYTE = 1 << 20
_TOPICS = TopicNames()

SHARED = (
    Flag("bootstrap-servers", "localhost:9092", read_servers, "Kafka"),
    Flag(
        "kafka-config",
        "",
        read_kafka_file,
        "a file of client properties, for a Kafka with TLS or a login; off: no file",
    ),
    Flag("models-topic", _TOPICS.models, read_topic, "input: models and model commands"),
    Flag("data-topic", _TOPICS.data, read_topic, "input: records"),
    Flag("results-topic", _TOPICS.results, read_topic, "output: one result per scored record"),
    Flag(
        "dead-letter-topic",
        _TOPICS.dead_letters,
        read_topic,
        "output: every message that could not be served, with its bytes",
    ),
    Flag("status-topic", _TOPICS.status, read_topic, "output: the outcome of each model message"),
    Flag(
        "stats-topic",
        _TOPICS.stats,
        read_topic_or_none,
        "output: statistics of each version, once a second; empty: none",
    ),
    Flag("models-group", "modelRecordsGroup", read_text, "consumer group that reads the models"),
    Flag("data-group", "wineRecordsGroup", read_text, "consumer group that reads the records"),
    Flag(
        "starting-offsets",
        "committed",
        read_choice(StartingOffsets),
        "where a job that is not restored starts: committed (earliest where none is), earliest or latest",
    ),
    Flag(
        "partition-discovery-interval-ms",
        "10000",
        read_number(0),
        "milliseconds between two searches for new partitions of the models and the data topic; 0: never",
    ),
    Flag(
        "bounded",
        "",
        read_switch,
        "read both topics up to their present end, then finish",
        is_switch=True,
    ),
    Flag(
        "delivery",
        "at-least-once",
        read_choice(Delivery),
        "at-least-once, or exactly-once by Kafka transactions",
    ),
    Flag(
        "no-model",
        "buffer",
        read_choice(NoModelPolicy),
        "what happens to a record whose data type has no model yet: buffer, dead-letter or drop",
    ),
    Flag("buffer-limit", "10000", read_number(0), "records of a data type that may wait for a model"),
    Flag("keep-versions", "3", read_number(1), "versions of a data type that are kept for rollback"),
    Flag(
        "record-type",
        "model_serving.protos.winerecord_pb2:WineRecord",
        read_record_type,
        "the protobuf message on the data topic",
    ),
    Flag(
        "model-size-limit",
        str(256 * _MEBIBYTE),
        read_number(1),
        "largest size of a model by location, in bytes",
    ),
    Flag(
        "allow-locations",
        "",
        read_places,
        "paths and URLs, separated by commas, under which models by location may be; off: anywhere",
    ),
    Flag(
        "model-key-file",
        "",
        read_key_file,
        "keys that model messages must be signed with, here and on each TaskManager; off: unsigned",
    ),
    Flag(
        "missing",
        "reject",
        read_choice(MissingPolicy),
        "a record that lacks a value which its model takes (unset, NaN, infinite): reject it, or pass it on",
    ),
    Flag(
        "failure-threshold",
        "5",
        read_number(0),
        "failures of a model in a row after which the version before it serves again; 0: never",
    ),
    Flag(
        "load-timeout-s",
        "120",
        read_number(1),
        "seconds that fetching, loading and checking a model may take before it is rejected",
    ),
    Flag(
        "trial-timeout-s",
        "60",
        read_number(0),
        "seconds for a trial of TensorFlow and ONNX models; 0: no trial",
    ),
    Flag("trial-memory-limit", str(4 << 30), read_number(1), "memory for a model in its trial, in bytes"),
    Flag("unpacked-size-limit", str(2 << 30), read_number(1), "bytes that an archive may unpack to"),
    Flag("pmml-size-limit", str(64 * _MEBIBYTE), read_number(1), "largest size of a PMML document, in bytes"),
    Flag(
        "model-store",
        "",
        read_store,
        "where models above the inline limit are kept, a path or a URL; "
        "off: 'models' in the checkpoint folder",
    ),
    Flag(
        "inline-limit",
        str(_MEBIBYTE),
        read_number(0),
        "largest size of a model in Flink's state, in bytes; larger models go to the model store",
    ),
    Flag(
        "model-store-retention-h",
        "168",
        read_hours,
        "hours that the model store keeps a model that no version refers to any more",
    ),
    Flag(
        "remote-timeout-ms",
        "10000",
        read_number(1),
        "milliseconds for a request to a model server, with its repetitions",
    ),
    Flag(
        "remote-outage",
        "wait",
        read_choice(OutagePolicy),
        "what happens to records while their model server is out of reach: wait or dead-letter",
    ),
    Flag(
        "remote-headers-file",
        "",
        read_headers_file,
        "headers (a token) for model servers, a line each: PLACE NAME: VALUE; here and on each TaskManager",
    ),
    Flag(
        "remote-ca-file",
        "",
        read_ca_file,
        "certificates (PEM) that https model servers are trusted by; off: the system's",
    ),
)
