"""A serving loop between fakes of everything around it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from model_serving.assembly import Parts, build
from model_serving.core.messages import ModelToServe, ModelType
from model_serving.core.pool import ModelPool
from model_serving.core.scoring.waiting import NoModelPolicy, WaitingPolicy
from model_serving.core.state import Activation, encode_activation
from model_serving.messaging.topics import TopicNames
from model_serving.protos.deadletter_pb2 import DeadLetter
from model_serving.protos.modelstatus_pb2 import ModelStatus
from model_serving.protos.servingresult_pb2 import ServingResult
from model_serving.protos.winerecord_pb2 import WineRecord
from model_serving.server import partitions
from model_serving.server import serving as module
from model_serving.server.active import ActiveInState
from model_serving.server.entries import Entry, Key, Kind
from model_serving.server.mirror import Mirror
from model_serving.server.progress import Progress
from model_serving.server.serving import ServingLoop
from model_serving.server.swaps import SwapQueue
from model_serving.server.waiting import WaitingInState
from model_serving.settings import ServingSettings
from model_serving.testing import FakeClock, FakeEngine, Script
from tests.fake_kafka import FakeConsumer, FakeKafka
from tests.jobs import eventually
from tests.unit.server.clients import Seconds
from tests.unit.server.states import FakeSender, StateLog

__all__ = ["TOPICS", "WINE_SCRIPT", "Loop"]

TOPICS = TopicNames()
WINE_SCRIPT = Script(fields=("alcohol",), x="alcohol")
_RECORD = "model_serving.protos.winerecord_pb2:WineRecord"


@dataclass
class FakeDelivery:
    """See ``Delivery``: what was written, by topic, and every call in order."""

    written: dict[str, list[bytes]] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    on_finish: Callable[[], None] = lambda: None
    on_tend: Callable[[bool], None] = lambda _has_read: None
    holds_back: bool = False

    def start(self) -> None:
        self.calls.append("start")

    def write(self, topic: str, messages: Iterable[bytes]) -> None:
        self.written.setdefault(topic, []).extend(messages)

    def state(self, entries: Iterable[Entry]) -> None:
        self.entries += entries

    def tend(self, *, has_read: bool) -> None:
        self.on_tend(has_read)
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
        self.is_loading = False
        monkeypatch.setattr(module, "time", self.seconds)
        # The mirror follows in the same thread, so nothing comes while it is waited for.
        monkeypatch.setattr(partitions, "_SOON_S", 0)
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
            lambda: self.is_loading,
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
