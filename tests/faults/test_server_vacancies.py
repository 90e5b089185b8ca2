"""A member starts again while a partition moves, so that the group gives it to nobody."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer

from model_serving.client.broker.embedded import EmbeddedBroker, Retention
from model_serving.messaging.access import KafkaAccess
from model_serving.protos.winerecord_pb2 import WineRecord
from model_serving.server.vacancies import KafkaGroup
from tests.faults.kills import broker_process, kill_now
from tests.job_models import constant_model, sample_records
from tests.job_serving import fresh_topics
from tests.job_traffic import Traffic
from tests.jobs import ServerRun, eventually, server_flags

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]


@contextmanager
def guest(broker: EmbeddedBroker, group: str, topic: str) -> Iterator[Consumer]:
    """A member that is no server: it answers the group only while the test polls it."""
    consumer = Consumer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": group,
            "group.instance.id": "guest",
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": 60_000,
            "heartbeat.interval.ms": 500,
            "enable.auto.commit": False,
            "auto.offset.reset": "latest",
        }
    )
    consumer.subscribe(
        [topic],
        on_assign=lambda of, places: of.incremental_assign(places),
        on_revoke=lambda of, places: of.incremental_unassign(places),
    )
    try:
        yield consumer
    finally:
        consumer.close()


def test_a_partition_that_nobody_was_given_is_read_again(broker: EmbeddedBroker, tmp_path: Path) -> None:
    """The server joins while a guest reads all; the guest starts again before it has given anything up."""
    topics = fresh_topics(broker, partitions=3)
    group = f"{topics.models}-data"
    seen = KafkaGroup(KafkaAccess(broker.bootstrap_servers), group, topics.data)
    flags = server_flags(broker.bootstrap_servers, topics, topics.models)

    def is_one_vacant() -> bool:
        """Whether the group is at rest, with two partitions for the guest and none for the server."""
        told = seen.shares() or {}
        return {name: len(places) for name, places in told.items()} == {"": 2, "one": 0}

    with ExitStack() as closing:
        before = closing.enter_context(guest(broker, group, topics.data))
        eventually(lambda: before.poll(0.1) is None and len(before.assignment()) == 3, str, within_s=60)
        server = closing.enter_context(ServerRun(flags, tmp_path / "one.log"))
        eventually(is_one_vacant, lambda: str(seen.shares()), within_s=60)
        again = closing.enter_context(guest(broker, group, topics.data))
        eventually(lambda: again.poll(0.1) is None and len(again.assignment()) == 2, str, within_s=60)
        assert is_one_vacant(), "nobody was given the third partition"
        (vacant,) = {0, 1, 2} - {place.partition for place in again.assignment()}
        traffic = closing.enter_context(Traffic("server", broker.bootstrap_servers, topics, server.check))
        traffic.serve(constant_model("wine", 5))
        records = sample_records("wine", 20)
        _send(broker, topics.data, vacant, records)
        eventually(
            lambda: again.poll(0.1) is None and f"reads partitions {vacant} of" in server.printed(),
            server.printed,
            within_s=60,
        )
        assert f"nobody reads partitions {vacant} of '{topics.data}'" in server.printed()
        assert len(again.assignment()) == 2, "the guest has kept what it had"
        results = traffic.await_results("wine", len(records))
        assert sorted(result.submissionTs for result in results) == [record.ts for record in records]


def test_who_asks_about_the_group_outlives_the_broker(tmp_path: Path) -> None:
    """The newer call for the same question ended the process at every second death of a broker or so."""
    told = tmp_path / "told"
    with (
        EmbeddedBroker(folder=tmp_path / "kafka", retention=Retention.KEEP) as broker,
        told.open("wb") as output,
        ended(
            subprocess.Popen([sys.executable, "-c", _ASKS, broker.bootstrap_servers], stdout=output)
        ) as asks,
    ):

        def await_words(*words: str) -> None:
            def are_told() -> bool:
                assert asks.poll() is None, f"the process ended with status {asks.returncode}"
                return told.read_text().split() == list(words)

            eventually(are_told, told.read_text, within_s=60)

        await_words("answered")
        kill_now(broker_process(broker))
        broker.stop()
        await_words("answered", "away")
        broker.start()
        await_words("answered", "away", "answered")
        kill_now(broker_process(broker))
        broker.stop()
        await_words("answered", "away", "answered", "away")


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Gives the process, and ends it."""
    with process:
        try:
            yield process
        finally:
            process.kill()


_ASKS = """
import sys
import time
from confluent_kafka import KafkaException
from model_serving.messaging.access import KafkaAccess
from model_serving.server.vacancies import KafkaGroup

group, said = KafkaGroup(KafkaAccess(sys.argv[1]), "group", "topic"), ""
while True:
    try:
        group.shares()
        saying = "answered"
    except KafkaException:
        saying = "away"
    if saying != said:
        said = saying
        print(said, flush=True)
    time.sleep(0.002)
"""
"""Says whether Kafka answers, each time that this changes."""


def _send(broker: EmbeddedBroker, topic: str, partition: int, records: Sequence[WineRecord]) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    for record in records:
        producer.produce(topic, record.SerializeToString(), partition=partition)
    assert producer.flush(60) == 0
