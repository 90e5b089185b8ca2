"""Jobs with topics and consumer groups that were set up in unexpected ways."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import NewPartitions, NewTopic  # type: ignore[attr-defined]

from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.messaging.connection import connect
from model_serving.messaging.limits import KAFKA_DEFAULT_BYTES
from model_serving.messaging.topics import TopicNames
from model_serving.protos.deadletter_pb2 import DeadLetter
from model_serving.protos.modelstatus_pb2 import ModelStatus
from tests.job_models import constant_model, sample_records
from tests.job_traffic import Traffic
from tests.jobs import VARIANTS, FlinkRun, eventually, job_flags, run_flink

pytestmark = pytest.mark.kafka

MODELS_BYTES = 10 << 20


def topics_of_sizes(broker: EmbeddedBroker, sizes: Mapping[str, int]) -> TopicNames:
    """Creates topics that take messages of the size given for their role, else of Kafka's default size."""
    names = TopicNames().prefixed(f"s{uuid4().hex[:8]}-")
    wanted = [
        NewTopic(
            getattr(names, role),
            num_partitions=1,
            replication_factor=1,
            config={"max.message.bytes": str(sizes.get(role, KAFKA_DEFAULT_BYTES))},
        )
        for role in ("models", "data", "results", "dead_letters", "status")
    ]
    admin = connect(broker.kafka)
    for made in admin.create_topics(wanted).values():
        made.result(timeout=30)
    return names


@contextmanager
def member_of(broker: EmbeddedBroker, group: str, topic: str) -> Iterator[None]:
    """Gives another program's consumer when it has become a member of the group."""
    consumer = Consumer(
        {"bootstrap.servers": broker.bootstrap_servers, "group.id": group, "client.id": "somebody"}
    )
    consumer.subscribe([topic])
    eventually(
        lambda: consumer.poll(0.1) is None and bool(consumer.assignment()), lambda: "no member", within_s=60
    )
    try:
        yield
    finally:
        consumer.close()


@dataclass(frozen=True, slots=True)
class Job:
    """A running job, its traffic and its topics."""

    variant: str
    run: FlinkRun
    traffic: Traffic
    topics: TopicNames


@pytest.fixture(scope="module", params=VARIANTS)
def job(
    request: pytest.FixtureRequest, broker: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Job]:
    """Runs a job whose dead-letter topic takes less than it may get; somebody else is in its models group."""
    variant, folder = request.param, tmp_path_factory.mktemp(request.param)
    topics = topics_of_sizes(broker, {"models": MODELS_BYTES, "data": MODELS_BYTES})
    flags = job_flags(broker.bootstrap_servers, topics, folder / "checkpoints", topics.models)
    flags += ["--no-model", "dead-letter", "--partition-discovery-interval-ms", "1000"]
    empty = TopicNames().prefixed(topics.models).data
    admin = connect(broker.kafka)
    admin.create_topics([NewTopic(empty, num_partitions=1)])[empty].result(timeout=30)
    with (
        member_of(broker, f"{topics.models}-models", empty),
        FlinkRun(variant, flags, folder / "job.log") as run,
        Traffic(variant, broker.bootstrap_servers, topics, run.check) as traffic,
    ):
        yield Job(variant, run, traffic, topics)


def test_a_letter_that_its_topic_does_not_take_is_cut_and_the_job_goes_on(job: Job) -> None:
    traffic, topics = job.traffic, job.topics
    # Both are larger than the topic for them; so would be a status with that name.
    bad_model = constant_model("wine", 2.0, data=b"<" + b"x" * 2_000_000)
    bad_name = constant_model("wine", 3.0, name="n" * 2_000_000)
    orphan = sample_records("o" * 1_500_000, 1)[0]
    traffic.offer(bad_model, bad_name)
    traffic.await_statuses("wine", 2)
    traffic.serve(constant_model("wine", 1.0))
    traffic.send(orphan, *sample_records("wine", 10))
    traffic.await_results("wine", 10)
    letters = traffic.await_letters(lambda _letter: True, 3)
    assert [one.state for one in traffic.statuses["wine"]] == [
        ModelStatus.REJECTED,
        ModelStatus.REJECTED,
        ModelStatus.ACTIVE,
    ]
    sent = {
        (message := one.SerializeToString())[:40]: (message, reason)
        for one, reason in (
            (bad_model, DeadLetter.MODEL_REJECTED),
            (bad_name, DeadLetter.MODEL_REJECTED),
            (orphan, DeadLetter.NO_MODEL),
        )
    }
    for letter in letters:
        message, reason = sent.pop(letter.payload[:40])
        kept = len(letter.payload)
        assert (letter.reason, letter.payload) == (reason, message[:kept])
        assert 1_000_000 < kept < KAFKA_DEFAULT_BYTES
        assert letter.detail.endswith(
            f"; the payload is cut: {kept} of {len(message)} bytes, "
            f"SHA-256 {hashlib.sha256(message).hexdigest()}"
        )
    expected = (
        f"{job.variant}.py: the topic '{topics.dead_letters}' takes messages of up to 1,048,588 bytes and "
        "may get 10,502,144: larger messages are cut there; raise its max.message.bytes to have them whole, "
        "then start the job again"
    )
    assert expected in job.run.printed().splitlines()
    assert "restarts" not in job.run.printed()


def test_others_in_its_groups_are_named_and_new_partitions_are_read(broker: EmbeddedBroker, job: Job) -> None:
    traffic, topics = job.traffic, job.topics
    line = "{}.py: others read in the consumer group '{}-{}' (somebody): "

    def said(role: str) -> list[str]:
        start = line.format(job.variant, topics.models, role)
        return [one for one in job.run.printed().splitlines() if one.startswith(start)]

    assert (len(said("models")), len(said("data"))) == (1, 0), job.run.printed()
    letters = len(traffic.letters)
    traffic.serve(constant_model("grown", 1.0))
    with member_of(broker, f"{topics.models}-data", topics.data):
        eventually(lambda: len(said("data")) == 1, job.run.printed, within_s=60)
    assert len(said("models")) == 1
    admin = connect(broker.kafka)
    grown = admin.create_partitions([NewPartitions(topics.data, 4)])
    grown[topics.data].result(timeout=30)
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    for ts in range(1, 4):
        (record,) = sample_records("grown", 1, first_ts=ts)
        producer.produce(topics.data, record.SerializeToString(), partition=ts)
    assert producer.flush(30) == 0
    traffic.await_results("grown", 3)
    assert len(traffic.letters) == letters


def test_a_topic_that_takes_next_to_nothing_is_one_line(broker: EmbeddedBroker, tmp_path: Path) -> None:
    topics = topics_of_sizes(broker, {"status": 1000})
    flags = job_flags(broker.bootstrap_servers, topics, tmp_path / "checkpoints", topics.models)
    done = run_flink(["run", "-py", "flink_jobs/keyed.py", *flags], within_s=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"keyed.py: the topic '{topics.status}' takes messages of up to 1,000 bytes: "
        "raise its max.message.bytes to 16,384 at least\n"
    )
