"""The serving loop between fakes of everything around it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from confluent_kafka import KafkaError, TopicPartition

from model_serving.assembly import Parts, build
from model_serving.core.errors import Unavailable
from model_serving.core.messages import ModelToServe, ModelType
from model_serving.core.pool import ModelPool
from model_serving.core.scoring.waiting import NoModelPolicy, WaitingPolicy
from model_serving.core.state import Activation, encode_activation
from model_serving.messaging.topics import TopicNames
from model_serving.protos.deadletter_pb2 import DeadLetter
from model_serving.protos.modelstatus_pb2 import ModelStatus
from model_serving.protos.servingresult_pb2 import ServingResult
from model_serving.protos.winerecord_pb2 import WineRecord
from model_serving.server import serving as module
from model_serving.server.entries import Entry, Key, Kind
from model_serving.server.errors import Fenced, Interrupted
from model_serving.server.member import ActiveInState
from model_serving.server.mirror import Mirror
from model_serving.server.progress import Progress
from model_serving.server.serving import ServingLoop
from model_serving.server.swaps import SwapQueue
from model_serving.server.waiting import WaitingInState
from model_serving.settings import ServingSettings
from model_serving.testing import FakeClock, FakeEngine, Script
from tests.fake_kafka import FakeConsumer, FakeKafka, FakeMessage, failure
from tests.jobs import eventually
from tests.unit.server.states import FakeSender, StateLog

TOPICS = TopicNames()
_RECORD = "model_serving.protos.winerecord_pb2:WineRecord"


class Seconds:
    """Stands for the module ``time``."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.now += seconds


@dataclass
class FakeDelivery:
    """See ``Delivery``: what was written, by topic, and every call in order."""

    written: dict[str, list[bytes]] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    on_finish: Callable[[], None] = lambda: None
    holds_back: bool = False

    def write(self, topic: str, messages: Iterable[bytes]) -> None:
        self.written.setdefault(topic, []).extend(messages)

    def state(self, entries: Iterable[Entry]) -> None:
        self.entries += entries

    def tend(self, *, has_read: bool) -> None:
        self.calls.append(f"tend {has_read}")

    def finish(self, *, patience_s: float = 30.0) -> None:
        self.on_finish()
        self.calls.append("finish")

    def close(self) -> None:
        self.calls.append("close")


class Ends:
    """See ``EndOffsets``: the same for every topic."""

    def __init__(self) -> None:
        self.known: dict[int, int] = {0: 0, 1: 0}

    def of(self, topic: str, partitions: Iterable[int]) -> dict[int, int]:
        return {place: self.known[place] for place in partitions}


class Loop:
    """A serving loop that reads two partitions."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, until: Mapping[int, int] | None = None, limit: int = 10_000
    ) -> None:
        self.seconds = Seconds()
        monkeypatch.setattr(module, "time", self.seconds)
        self.kafka = FakeKafka({TOPICS.data: 3})
        self.consumer = FakeConsumer(
            self.kafka, {"group.id": "data", "enable.partition.eof": until is not None}
        )
        self.delivery = FakeDelivery()
        self.progress = Progress(TOPICS.data)
        self.mirror = Mirror()
        self.log = StateLog(self.mirror)
        self.sender = FakeSender(self.log)
        self.ends = Ends()
        self.engine = FakeEngine(FakeClock())
        waits = WaitingPolicy(NoModelPolicy.BUFFER, limit, bounded=until is not None)
        settings = ServingSettings(_RECORD, TOPICS.models, TOPICS.data, waits, 3, "/", 1 << 20)
        pool = ModelPool(self.engine)
        self.parts: Parts = build(settings, FakeClock(), pool, engines=self.engine)
        self.waiting = WaitingInState(self.mirror)
        self.swaps = SwapQueue(self.mirror, self.parts.lease)
        self.swaps.follow()
        self.desk = self.parts.desk(ActiveInState(self.mirror), self.waiting, "one", 0)
        consumer: Any = self.consumer
        self.loop = ServingLoop(
            "one",
            consumer,
            self.delivery,
            self.progress,
            self.desk,
            self.parts.codec,
            self.waiting,
            self.swaps,
            self.mirror,
            self.sender,
            self.ends,
            TOPICS,
            "state",
            until=until,
        )
        self.loop.start()

    def share(self, *partitions: int) -> None:
        self.kafka.share({self.consumer: [TopicPartition(TOPICS.data, place) for place in partitions]})

    def arrive(self, *partitions: int) -> None:
        """Gives the loop partitions, whose state is known."""
        self.share(*partitions)
        self.mirror.apply([], {0: 0, 1: 0})
        self.loop.step()

    def activate(self, data_type: str, sequence: int, content: bytes, *, fallback: bool = False) -> None:
        """Writes an activation, and waits until its model is loaded."""
        model = ModelToServe(data_type, "model", ModelType.PMML, f"v{sequence}", content.hex(), content)
        order = encode_activation(Activation(data_type, sequence, model, fallback=fallback))
        self.log.put(Key(Kind.ACTIVATION, data_type), order)
        # The queue hands the swap over when the load is over, whatever it gave.
        eventually(lambda: bool(self.swaps._loaded), lambda: "loads", within_s=30, step_s=0.002)

    def send(self, partition: int, data_type: str, *numbers: int) -> None:
        for number in numbers:
            record = WineRecord(dataType=data_type, ts=number, alcohol=number)
            self.kafka.append((TOPICS.data, partition), None, record.SerializeToString())

    @property
    def results(self) -> list[tuple[int, str]]:
        results = map(ServingResult.FromString, self.delivery.written.get(TOPICS.results, []))
        return [(one.submissionTs, one.version) for one in results]

    @property
    def statuses(self) -> list[ModelStatus]:
        return [ModelStatus.FromString(one) for one in self.delivery.written.get(TOPICS.status, [])]

    @property
    def letters(self) -> list[DeadLetter]:
        return [DeadLetter.FromString(one) for one in self.delivery.written.get(TOPICS.dead_letters, [])]

    @property
    def partitions(self) -> set[int]:
        return set(self.loop.partitions)

    def is_at_end(self) -> bool:
        return self.loop.is_at_end

    @property
    def paused(self) -> set[int]:
        return {partition for _, partition in self.consumer.paused}

    def close(self) -> None:
        self.swaps.stop()
        self.swaps.join(60)
        self.desk.close()
        self.mirror.close()


WINE_SCRIPT = Script(fields=("alcohol",), x="alcohol")


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loop]:
    made = Loop(monkeypatch)
    for content in (b"one", b"two"):
        made.engine.scripts[content] = WINE_SCRIPT
    yield made
    made.close()


def test_an_activation_is_carried_out_between_two_batches(loop: Loop) -> None:
    loop.activate("wine", 1, b"one")
    loop.arrive(0, 1)
    loop.send(0, "wine", 1, 2)
    loop.loop.step()
    loop.activate("wine", 2, b"two")
    loop.send(1, "wine", 3)
    loop.loop.step()
    assert loop.results == [(1, "v1"), (2, "v1"), (3, "v2")]
    reports = [entry.key.item for entry in loop.sender.sent if entry.key.kind is Kind.REPORT]
    assert reports == ["1/one", "2/one"]
    # ACTIVE is for the elected member to say.
    assert loop.statuses == []
    assert loop.engine.live == ["two"]


def test_an_activation_waits_until_results_of_the_version_before_are_under_way(loop: Loop) -> None:
    """ACTIVE must not be said before them."""
    loop.activate("wine", 1, b"one")
    loop.arrive(0)
    loop.activate("wine", 2, b"two")
    loop.delivery.holds_back = True
    loop.send(0, "wine", 1)
    loop.loop.step()
    assert (loop.results, loop.is_at_end()) == ([(1, "v1")], False)
    loop.delivery.holds_back = False
    loop.send(0, "wine", 2)
    loop.loop.step()
    assert loop.results == [(1, "v1"), (2, "v2")]


def test_a_commit_before_a_batch_is_served_leaves_the_batch_out(loop: Loop) -> None:
    """Where a model may have to be loaded, a commit comes first; a kill meanwhile must lose nothing."""
    loop.arrive(0)
    committed: list[int] = []
    loop.delivery.on_finish = lambda: committed.append(loop.progress.next_offset(0))
    for number in (1, 2):
        loop.send(0, "wine", number)
        loop.loop.step()
    assert (committed, loop.progress.next_offset(0)) == ([0, 1], 2)


def test_records_of_a_partition_that_went_while_they_were_gathered_are_dropped(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads the partition now reads them again."""
    loop.activate("wine", 1, b"one")
    loop.arrive(0, 1)
    loop.send(0, "wine", 1)
    loop.send(1, "wine", 2)
    consume = loop.consumer.consume

    def consume_and_lose(count: int, timeout: float) -> list[Any]:
        gathered = consume(count, timeout)
        loop.share(1)
        return gathered

    monkeypatch.setattr(loop.consumer, "consume", consume_and_lose)
    loop.loop.step()
    assert loop.results == [(2, "v1")]
    assert [(one.partition, one.offset) for one in loop.progress.places()] == [(1, 1)]


def test_records_are_not_read_before_the_state_of_their_partition_is_known(loop: Loop) -> None:
    loop.ends.known = {0: 3, 1: 7}
    loop.send(0, "wine", 1)
    loop.share(0)
    loop.loop.step()
    assert (loop.paused, loop.partitions, loop.delivery.written) == ({0}, {0}, {})
    loop.mirror.apply([], {0: 3, 1: 6})
    loop.loop.step()
    assert loop.paused == {0}
    loop.mirror.apply([], {1: 7})
    loop.loop.step()
    assert (loop.paused, loop.waiting.count("wine")) == (set(), 1)


def test_records_wait_under_their_partition_and_are_scored_in_its_order(loop: Loop) -> None:
    loop.arrive(0, 1)
    loop.send(0, "wine", 1, 2)
    loop.send(1, "wine", 10)
    loop.send(0, "beer", 20)
    loop.loop.step()
    assert sorted(entry.key.item for entry in loop.delivery.entries) == ["0/0", "0/0", "1/0"]
    loop.activate("wine", 1, b"one")
    loop.loop.step()
    assert loop.results == [(1, "v1"), (2, "v1"), (10, "v1")]
    assert [entry.key.item for entry in loop.delivery.entries[3:] if entry.value is None] == ["0/0", "1/0"]
    assert (loop.waiting.count("wine"), loop.waiting.count("beer")) == (0, 1)


def test_a_partition_that_goes_is_committed_first_and_takes_its_records_along(loop: Loop) -> None:
    loop.arrive(0, 1)
    loop.send(0, "wine", 1)
    loop.send(1, "wine", 2, 3)
    loop.loop.step()
    loop.log.write(*loop.delivery.entries)
    loop.delivery.calls.clear()
    loop.share(0)
    assert loop.delivery.calls == ["finish"]
    assert (loop.partitions, loop.waiting.count("wine")) == ({0}, 1)
    loop.kafka.offsets["data", TOPICS.data, 1] = 2
    loop.arrive(0, 1)
    assert loop.waiting.count("wine") == 3


def test_partitions_that_are_lost_interrupt_and_nothing_is_committed(loop: Loop) -> None:
    """Others have read the records again: what is open would be there twice."""
    loop.arrive(0)
    loop.send(0, "wine", 1)
    loop.loop.step()
    loop.delivery.calls.clear()
    loop.consumer.on_lost(loop.consumer, [TopicPartition(TOPICS.data, 0)])
    with pytest.raises(Interrupted, match="gave its partitions to others"):
        loop.loop.step()
    assert (loop.delivery.calls, loop.partitions) == ([], set())


def test_a_model_is_loaded_outside_of_a_transaction(loop: Loop) -> None:
    """It is one that was active before the start."""
    model = ModelToServe("wine", "model", ModelType.PMML, "v1", "00", b"one")
    loop.mirror.forget(loop.swaps._changed)
    loop.log.put(Key(Kind.ACTIVATION, "wine"), encode_activation(Activation("wine", 1, model)))
    loop.mirror.listen(loop.swaps._changed)
    loop.arrive(0)
    loop.send(0, "wine", 1)
    loop.delivery.calls.clear()
    loop.loop.step()
    loop.send(0, "wine", 2)
    loop.loop.step()
    assert loop.delivery.calls == ["finish", "tend True", "tend True"]
    assert loop.results == [(1, "v1"), (2, "v1")]


def test_while_too_many_records_wait_for_a_model_server_nothing_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = Loop(monkeypatch, limit=2)
    outage = Unavailable("the model server does not answer", 1_000)
    loop.engine.scripts[b"one"] = replace(WINE_SCRIPT, score_fault=outage)
    loop.activate("wine", 1, b"one")
    loop.arrive(0, 1)
    loop.send(0, "wine", 1, 2)
    loop.loop.step()
    loop.loop.step()
    assert (loop.results, loop.letters, loop.paused) == ([], [], {0, 1})
    loop.send(1, "beer", 3)
    loop.loop.step()
    assert loop.waiting.count("beer") == 0
    # Partitions that come now are not read either.
    loop.share(0, 1, 2)
    loop.mirror.apply([], {0: 0, 1: 0})
    loop.loop.step()
    assert loop.paused == {0, 1, 2}
    loop.engine.models[-1]._script = WINE_SCRIPT
    loop.seconds.now += 1.5
    loop.loop.step()
    loop.loop.step()
    assert (loop.results, loop.paused) == ([(1, "v1"), (2, "v1")], set())
    assert loop.waiting.count("beer") == 1
    loop.close()


def test_who_waits_long_is_told_and_not_again_until_more_wait(loop: Loop) -> None:
    loop.arrive(0)
    loop.send(0, "wine", 1, 2)
    loop.loop.step()
    loop.seconds.now += 9.9
    loop.loop.step()
    assert loop.statuses == []
    loop.seconds.now += 0.2
    loop.loop.step()
    assert [status.waiting for status in loop.statuses] == [2]
    loop.seconds.now += 61
    loop.loop.step()
    assert len(loop.statuses) == 1
    loop.send(0, "wine", 3)
    loop.loop.step()
    loop.seconds.now += 61
    loop.loop.step()
    assert [status.waiting for status in loop.statuses] == [2, 3]


def test_a_bounded_run_ends_when_all_is_read_and_gives_up_what_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = Loop(monkeypatch, until={0: 2, 1: 0, 2: 5})
    loop.loop.step()
    assert not loop.is_at_end(), "it has not joined the group yet"
    loop.send(0, "wine", 1, 2)
    loop.share(0, 1)
    loop.loop.step()
    assert not loop.is_at_end()
    loop.mirror.apply([], {0: 0, 1: 0})
    loop.loop.step()
    loop.loop.step()
    assert loop.is_at_end()
    loop.loop.end(patience_s=5)
    assert [(letter.reason, letter.dataType) for letter in loop.letters] == [
        (DeadLetter.NO_MODEL, "wine")
    ] * 2
    assert (loop.waiting.count("wine"), loop.seconds.slept) == (0, 0)
    loop.loop.stop()
    assert loop.delivery.calls[-1] == "finish"
    loop.close()


def test_a_fallback_that_does_not_load_holds_nobody_up(loop: Loop) -> None:
    loop.engine.scripts[b"broken"] = Script(load_error="not a model")
    loop.activate("wine", 1, b"broken", fallback=True)
    loop.arrive(0)
    assert [status.state for status in loop.statuses] == [ModelStatus.REJECTED]
    (report,) = [entry for entry in loop.sender.sent if entry.key.kind is Kind.REPORT]
    assert report == Entry(Key(Kind.REPORT, "wine", "1/one"), b"")


def test_a_model_that_does_not_load_here_is_taken_back(loop: Loop) -> None:
    loop.engine.scripts[b"broken"] = Script(load_error="not a model")
    loop.activate("wine", 1, b"broken")
    loop.arrive(0)
    assert [status.state for status in loop.statuses] == [ModelStatus.REJECTED]
    assert len(loop.delivery.written[TOPICS.models]) == 1
    assert [entry for entry in loop.sender.sent if entry.key.kind is Kind.REPORT] == []


@pytest.mark.parametrize(
    ("code", "raised"),
    [
        (KafkaError._ALL_BROKERS_DOWN, None),
        (KafkaError._TRANSPORT, None),
        (KafkaError.FENCED_INSTANCE_ID, Fenced),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, Interrupted),
    ],
)
def test_errors_among_messages(loop: Loop, code: int, raised: type[Exception] | None) -> None:
    loop.activate("wine", 1, b"one")
    loop.arrive(0)
    loop.send(0, "wine", 1)
    loop.consumer.news = [FakeMessage((TOPICS.data, 0), -1, None, None, why=KafkaError(code))]
    if raised is None:
        loop.loop.step()
        assert loop.results == [(1, "v1")]
    else:
        with pytest.raises(raised):
            loop.loop.step()


def test_a_kafka_that_does_not_answer_during_a_rebalance_interrupts(loop: Loop) -> None:
    def away(topic: str, partitions: Iterable[int]) -> dict[int, int]:
        raise failure(KafkaError._TRANSPORT)

    loop.ends.of = away  # type: ignore[method-assign]
    loop.share(0)
    with pytest.raises(Interrupted, match="the end of the state topic is not known"):
        loop.loop.step()


def test_a_commit_that_fails_while_partitions_go_interrupts(loop: Loop) -> None:
    def refused(*, patience_s: float = 30.0) -> None:
        raise Fenced("another one")

    loop.arrive(0)
    loop.delivery.finish = refused  # type: ignore[method-assign]
    loop.share(1)
    with pytest.raises(Fenced):
        loop.loop.step()
    assert loop.consumer.assignment() == [TopicPartition(TOPICS.data, 1)]


def test_an_end_without_kafka_does_not_wait_for_it(loop: Loop) -> None:
    given: list[float] = []

    def refused(*, patience_s: float = 30.0) -> None:
        given.append(patience_s)
        raise Interrupted("Kafka is away")

    loop.delivery.finish = refused  # type: ignore[method-assign]
    loop.loop.stop()
    assert given == [3.0]
