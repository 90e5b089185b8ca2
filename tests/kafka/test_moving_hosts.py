"""From the server to a Flink job and back, by docs/server.md: the same models serve, no record is lost."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from tests.job_models import constant_model, sample_records
from tests.job_serving import fresh_topics
from tests.job_traffic import Traffic
from tests.jobs import VARIANTS, FlinkRun, ServerRun, eventually, job_flags, server_flags

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]

MANY = 50


class Move:
    """One run of a host after the other, over the same topics; records come while none runs, too."""

    def __init__(self, broker: EmbeddedBroker, folder: Path) -> None:
        self.topics = fresh_topics(broker)
        self._address = broker.bootstrap_servers
        self._folder = folder
        self._group = self.topics.models
        self._sent = 0
        self.host: FlinkRun | None = None

    def check(self) -> None:
        """Fails when the host that should run has ended."""
        if self.host is not None:
            self.host.check()

    def server(self, *, state: str) -> ServerRun:
        """A server with this state topic."""
        flags = [
            *server_flags(self._address, self.topics, self._group),
            "--state-topic",
            f"{self._group}-{state}",
        ]
        return ServerRun(flags, self._folder / f"server-{self._sent}.log")

    def flink(self, variant: str, *, models_group: str) -> FlinkRun:
        """A Flink job that reads models in a group of its own, and records where the others read them."""
        flags = job_flags(self._address, self.topics, self._folder / "checkpoints", self._group)
        return FlinkRun(variant, [*flags, "--models-group", models_group], self._folder / f"{variant}.log")

    def committed(self) -> int:
        """The offset in the data group."""
        reader = Consumer({"bootstrap.servers": self._address, "group.id": f"{self._group}-data"})
        try:
            (place,) = reader.committed([TopicPartition(self.topics.data, 0)], timeout=30)
        finally:
            reader.close()
        return int(place.offset)

    def send(self, traffic: Traffic, data_type: str) -> None:
        """Sends records, each with a number of its own."""
        traffic.send(*sample_records(data_type, MANY, first_ts=1 + self._sent))
        self._sent += MANY

    def await_all(self, traffic: Traffic, data_type: str, version: str) -> None:
        """Each record so far has one result, and the latest have been scored by this version."""
        results = traffic.await_results(data_type, self._sent, within_s=120)
        seen = Counter(one.submissionTs for one in results)
        assert seen == Counter(range(1, 1 + self._sent))
        assert {one.version for one in results if one.submissionTs > self._sent - MANY} == {version}
        assert traffic.letters == []


@pytest.mark.parametrize("variant", VARIANTS)
def test_from_the_server_to_flink_and_back(broker: EmbeddedBroker, tmp_path: Path, variant: str) -> None:
    move = Move(broker, tmp_path)
    address = broker.bootstrap_servers
    with Traffic("server", address, move.topics, move.check) as traffic:
        with move.server(state="state") as move.host:
            traffic.serve(constant_model("a", 1.0, version="first"))
            traffic.serve(constant_model("a", 2.0, version="second"))
            move.send(traffic, "a")
            move.await_all(traffic, "a", "second")
        move.host = None
        statuses = len(traffic.statuses["a"])

        # To Flink: models are read from their beginning, because nothing is committed in the new group.
        with move.flink(variant, models_group=f"{move.topics.models}-flink") as move.host:
            traffic.await_statuses("a", statuses + 2, within_s=120)
            assert traffic.statuses["a"][-1].version == "second"
            move.send(traffic, "a")
            move.await_all(traffic, "a", "second")
            traffic.serve(constant_model("a", 3.0, version="third"))
            eventually(lambda: move.committed() == 2 * MANY, lambda: str(move.committed()), within_s=60)
        move.host = None
        move.send(traffic, "a")  # nobody runs

        # Back: the state topic knows how far models were read, so only the newest one is read.
        statuses = len(traffic.statuses["a"])
        with move.server(state="state") as move.host:
            traffic.await_statuses("a", statuses + 1)
            move.send(traffic, "a")
            move.await_all(traffic, "a", "third")
        move.host = None

        # As from Flink to a server for the first time: a state topic that is empty.
        with move.server(state="fresh") as move.host:
            traffic.await_statuses("a", statuses + 1 + 3)
            assert [one.version for one in traffic.statuses["a"][-3:]] == ["first", "second", "third"]
            move.send(traffic, "a")
            move.await_all(traffic, "a", "third")
            traffic.offer(ModelDescriptor(dataType="a", command="ROLLBACK"))
            assert traffic.await_statuses("a", statuses + 5)[-1].version == "second"
        move.host = None
