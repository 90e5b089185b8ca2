"""Jobs read whatever producers may write to Kafka: every compression, and aborted transactions."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from confluent_kafka import Producer
from google.protobuf.message import Message

from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.protos.modelstatus_pb2 import ModelStatus
from tests.job_models import constant_model, sample_records
from tests.job_serving import fresh_topics
from tests.job_traffic import Traffic
from tests.jobs import VARIANTS, FlinkRun, job_flags
from tests.producers import CODECS, send_compressed

pytestmark = pytest.mark.kafka


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


@pytest.fixture(scope="module", params=VARIANTS)
def traffic(
    request: pytest.FixtureRequest, broker: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory
) -> Traffic:
    """Returns the output of one bounded run over everything that the tests of this file need.

    Both topics end with aborted messages. A transaction is open when the run starts.
    """
    topics = fresh_topics(broker)
    send_compressed(broker, topics)
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
    folder = tmp_path_factory.mktemp(request.param)
    flags = job_flags(broker.bootstrap_servers, topics, folder / "checkpoints", topics.models)
    with FlinkRun(request.param, [*flags, "--bounded"], folder / "job.log") as job:
        unfinished.commit_transaction(30)
        assert job.await_end(within_s=90) == 0, job.printed()
    with Traffic(request.param, broker.bootstrap_servers, topics, lambda: None) as read:
        read.await_end()
    return read


def test_nothing_else_comes_out(traffic: Traffic) -> None:
    assert traffic.statuses.keys() == {*CODECS, "wine"}
    assert traffic.results.keys() == {*CODECS, "wine"}
    assert traffic.letters == []


def test_batches_of_every_compression_are_read(traffic: Traffic) -> None:
    for codec in CODECS:
        assert [one.state for one in traffic.statuses[codec]] == [ModelStatus.ACTIVE], codec
        assert sorted(one.submissionTs for one in traffic.results[codec]) == list(range(1, 21)), codec


def test_what_a_transaction_took_back_is_neither_scored_nor_deployed(traffic: Traffic) -> None:
    """Also a transaction that is open at the start is waited for."""
    assert [one.state for one in traffic.statuses["wine"]] == [ModelStatus.ACTIVE]
    assert sorted((one.submissionTs, one.result) for one in traffic.results["wine"]) == [
        (ts, 1.0) for ts in range(4, 12)
    ]
