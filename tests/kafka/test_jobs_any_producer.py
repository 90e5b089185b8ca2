"""Jobs read whatever producers may write to Kafka: every compression, and aborted transactions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest
from confluent_kafka import Producer
from google.protobuf.message import Message

from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.messaging.topics import TopicNames
from model_serving.protos.modelstatus_pb2 import ModelStatus
from tests.job_models import constant_model, sample_records
from tests.job_serving import fresh_topics
from tests.job_traffic import Traffic
from tests.jobs import VARIANTS, FlinkRun, job_flags
from tests.producers import CODECS, send_compressed

pytestmark = pytest.mark.kafka


def run_to_the_end(
    variant: str,
    broker: EmbeddedBroker,
    topics: TopicNames,
    folder: Path,
    meanwhile: Callable[[], object] = lambda: None,
) -> Traffic:
    """Makes a bounded run, calls a function after its submission, and returns the run's output."""
    flags = job_flags(broker.bootstrap_servers, topics, folder / "checkpoints", topics.models)
    with FlinkRun(variant, [*flags, "--bounded"], folder / "job.log") as job:
        meanwhile()
        assert job.await_end(within_s=90) == 0, job.printed()
    with Traffic(variant, broker.bootstrap_servers, topics, lambda: None) as traffic:
        traffic.await_end()
    return traffic


def states(statuses: Mapping[str, Iterable[ModelStatus]]) -> dict[str, list[int]]:
    return {data_type: [one.state for one in of_type] for data_type, of_type in statuses.items()}


@pytest.mark.parametrize("variant", VARIANTS)
def test_batches_of_every_compression_are_read(variant: str, broker: EmbeddedBroker, tmp_path: Path) -> None:
    topics = fresh_topics(broker)
    send_compressed(broker, topics)
    traffic = run_to_the_end(variant, broker, topics, tmp_path)
    assert states(traffic.statuses) == {codec: [ModelStatus.ACTIVE] for codec in CODECS}
    assert {codec: len(results) for codec, results in traffic.results.items()} == dict.fromkeys(CODECS, 20)
    assert traffic.letters == []


def transactional(broker: EmbeddedBroker, name: str) -> Producer:
    producer = Producer(
        {"bootstrap.servers": broker.bootstrap_servers, "log_level": 0, "transactional.id": name}
    )
    producer.init_transactions(30)
    return producer


def in_transaction(producer: Producer, topic: str, messages: Iterable[Message], *, commit: bool) -> None:
    producer.begin_transaction()
    for message in messages:
        producer.produce(topic, message.SerializeToString())
    # Only what lies in Kafka can be aborted there; the client would drop what it has not sent yet.
    assert producer.flush(30) == 0
    if commit:
        producer.commit_transaction(30)
    else:
        producer.abort_transaction(30)


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_a_transaction_took_back_is_neither_scored_nor_deployed(
    variant: str, broker: EmbeddedBroker, tmp_path: Path
) -> None:
    """Both topics end with aborted messages; a transaction that is open at the start is waited for."""
    topics = fresh_topics(broker)
    producer = transactional(broker, topics.data)
    in_transaction(producer, topics.models, [constant_model("wine", 1.0)], commit=True)
    in_transaction(producer, topics.models, [constant_model("wine", 2.0)], commit=False)
    in_transaction(producer, topics.data, sample_records("wine", 3), commit=False)
    in_transaction(producer, topics.data, sample_records("wine", 7, first_ts=4), commit=True)
    unfinished = transactional(broker, f"{topics.data}-open")
    unfinished.begin_transaction()
    unfinished.produce(topics.data, sample_records("wine", 1, first_ts=11)[0].SerializeToString())
    assert unfinished.flush(30) == 0
    in_transaction(producer, topics.data, sample_records("wine", 2, first_ts=12), commit=False)
    traffic = run_to_the_end(
        variant, broker, topics, tmp_path, meanwhile=lambda: unfinished.commit_transaction(30)
    )
    assert states(traffic.statuses) == {"wine": [ModelStatus.ACTIVE]}
    assert sorted((one.submissionTs, one.result) for one in traffic.results["wine"]) == [
        (ts, 1.0) for ts in range(4, 12)
    ]
    assert traffic.letters == []
