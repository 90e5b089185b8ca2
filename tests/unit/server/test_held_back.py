"""A model message that is carried out soon is never copied to the state topic, and never lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from model_serving.core.admission import queue
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.server.entries import Kind
from model_serving.testing import FakeClock, FakeEngine, Script
from tests.patience import patience
from tests.unit.server.cluster import TOPICS, Cluster, clusters

SLOW = b"slow"


class Loading:
    """An admitting member with a message of ``wine`` whose model loads until ``gate`` is set."""

    def __init__(self, cluster: Cluster, engine: FakeEngine) -> None:
        self.cluster, self.gate = cluster, threading.Event()
        engine.scripts[SLOW] = Script(fields=("alcohol",), x="alcohol", gate=self.gate)
        self.begin("one")
        self.publish("wine", SLOW)

    def begin(self, name: str) -> None:
        self.cluster.start(name)
        self.cluster.elect(name)
        self.cluster.admit()  # it takes office, and reads nothing before it has followed
        office = self.cluster.processes[name].office
        assert office is not None
        office.member._queue._patient = False
        for _ in range(4):
            self.cluster.follow(name)
            self.cluster.admit()

    def publish(self, data_type: str, content: bytes) -> None:
        message = ModelDescriptor(name="m", dataType=data_type, modeltype="PMML", data=content)
        self.cluster.kafka.append((TOPICS.models, 0), None, message.SerializeToString())
        self.cluster.admit()

    def is_written(self, kind: Kind, data_type: str = "wine") -> bool:
        return any(of == data_type for _, of, _ in self.cluster.entries(kind))

    def end(self) -> None:
        """Lets the model load, and waits for its activation."""
        self.gate.set()
        clock = threading.Event()
        for _ in range(int(patience(30) / 0.01)):
            self.cluster.clock.pass_ns(200_000_000)
            self.cluster.admit()
            self.cluster.follow(self.cluster.elected)
            if self.is_written(Kind.ACTIVATION):
                return
            clock.wait(0.01)
        pytest.fail("the model is not active")


@pytest.fixture
def loading(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loading]:
    engine = FakeEngine(FakeClock())
    with clusters(engine, exactly_once=False) as cluster:
        monkeypatch.setattr(queue, "_QUICK_S", 0.0)
        made = Loading(cluster, engine)
        yield made
        made.gate.set()


def positions(loading: Loading) -> list[bytes | None]:
    return [value for _, _, value in loading.cluster.entries(Kind.POSITION)]


def test_a_message_is_not_in_the_state_topic_while_its_model_loads_for_a_moment(loading: Loading) -> None:
    before = positions(loading)
    loading.cluster.admit()
    assert (loading.is_written(Kind.PENDING), positions(loading)) == (False, before)
    loading.end()
    assert not loading.is_written(Kind.PENDING)
    assert positions(loading)[-1] == b"1"


def test_a_member_that_takes_over_meanwhile_reads_the_message_again(loading: Loading) -> None:
    loading.cluster.kill("one")
    loading.cluster.expire()
    loading.begin("two")
    loading.end()
    assert not loading.is_written(Kind.PENDING)


def test_a_message_whose_model_loads_for_long_is_in_the_state_topic(loading: Loading) -> None:
    loading.cluster.clock.pass_ns(3_500_000_000)
    loading.cluster.admit()
    assert loading.is_written(Kind.PENDING)
    assert positions(loading)[-1] == b"1"
    loading.end()


def test_a_message_is_in_the_state_topic_as_soon_as_something_else_is_written(loading: Loading) -> None:
    loading.publish("", b"a message without a data type")
    assert loading.cluster.kafka.committed(TOPICS.dead_letters)
    assert loading.is_written(Kind.PENDING)
    assert positions(loading)[-1] == b"2"
    loading.end()
