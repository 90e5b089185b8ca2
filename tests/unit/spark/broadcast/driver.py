"""The driver's models loop and the tasks of a Spark job, without Spark, Kafka and threads."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from model_serving.assembly import Parts, build
from model_serving.core.admission.queue import ModelQueue
from model_serving.core.pool import ModelPool
from model_serving.core.scoring.waiting import NoModelPolicy, WaitingPolicy
from model_serving.messaging.receiving import Received
from model_serving.messaging.topics import TopicNames
from model_serving.protos.deadletter_pb2 import DeadLetter
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.modelstatus_pb2 import ModelStatus
from model_serving.protos.servingresult_pb2 import ServingResult
from model_serving.protos.winerecord_pb2 import WineRecord
from model_serving.settings import ServingSettings
from model_serving.spark.broadcast.driver_ports import (
    ActiveOnDriver,
    KeptOnDriver,
    PendingOnDriver,
    WaitingOnDriver,
)
from model_serving.spark.broadcast.driver_state import DriverState
from model_serving.spark.broadcast.handover import Handover
from model_serving.spark.broadcast.models_loop import ModelsLoop
from model_serving.spark.broadcast.pointer import Pointer
from model_serving.spark.broadcast.preloading import Preloading
from model_serving.spark.broadcast.presence import Presence, Workers
from model_serving.spark.broadcast.scoring import NothingRestored, TaskScoring
from model_serving.spark.outputs import Row, Rows, origins_of
from model_serving.stores.folders import Folder
from model_serving.testing import FakeClock, FakeEngine, Script

__all__ = ["PMML", "TOPICS", "Job", "Killed", "records"]

TOPICS = TopicNames()
PMML = ModelDescriptor.PMML
SCRIPT = Script(fields=("alcohol",), x="alcohol")
_RECORD = "model_serving.protos.winerecord_pb2:WineRecord"


class Killed(Exception):
    """The driver was killed."""


class FakeSource:
    """See ``ModelMessages``: what was published and is not read yet."""

    def __init__(self, published: Sequence[bytes], positions: Mapping[int, int]) -> None:
        self._published = published
        self.positions = dict(positions)

    @property
    def caught_up(self) -> bool:
        return self.positions.get(0, 0) == len(self._published)

    def poll(self, timeout_s: float) -> list[Received]:
        start = self.positions.get(0, 0)
        self.positions[0] = len(self._published)
        return [
            Received(TOPICS.models, 0, offset, 0, payload)
            for offset, payload in enumerate(self._published[start:], start)
        ]

    def commit(self) -> None:
        """No group."""


class Job:
    """A job; ``start`` makes a driver, ``task`` a worker process. What they write to Kafka is in ``written``.

    ``kill_at``: the number of sendings after which the driver is killed.
    """

    def __init__(
        self,
        folder: Path,
        scripts: Mapping[bytes, Script] | None = None,
        *,
        policy: NoModelPolicy = NoModelPolicy.BUFFER,
        limit: int = 10_000,
        bounded: bool = False,
    ) -> None:
        self.clock = FakeClock()
        names = dict.fromkeys((b"one", b"two", b"three"), SCRIPT) | dict(scripts or {})
        self.engine = FakeEngine(self.clock, {_binary(name): script for name, script in names.items()})
        self.folder = Folder(str(folder / "broadcast"))
        self.settings = ServingSettings(
            _RECORD,
            TOPICS.models,
            TOPICS.data,
            WaitingPolicy(policy, limit, bounded),
            3,
            "/",
            1 << 20,
            model_store=str(folder / "models"),
            run="run",
            failure_threshold=3,
        )
        self.bounded = bounded
        self.published: list[bytes] = []
        self.written: list[Row] = []
        self.kill_at: int | None = None
        self.loop: ModelsLoop | None = None
        self.parts: dict[TaskScoring, Parts] = {}
        self.offset = 0

    def start(self) -> None:
        """Starts a driver, after the one before."""
        parts = self._parts()
        state = DriverState(self.folder, "run")
        waiting = WaitingOnDriver(state)
        queue = parts.queue(KeptOnDriver(state), PendingOnDriver(state), 0)
        assert isinstance(queue, ModelQueue)
        queue._patient = True
        self.state = state
        self.loop = ModelsLoop(
            FakeSource(self.published, state.positions),
            parts.gate(0),
            queue,
            parts.desk(ActiveOnDriver(state), waiting, "driver", 0),
            parts.codec,
            state,
            waiting,
            Pointer(self.folder),
            Handover(self.folder),
            Workers(self.folder, self.clock),
            TOPICS,
            self._send,
            self.clock,
            bounded=self.bounded,
        )
        self.loop.begin()

    def step(self) -> None:
        """One step of the driver."""
        assert self.loop is not None
        self.loop.step()

    def task(self, policy: WaitingPolicy | None = None) -> TaskScoring:
        """A worker process without models."""
        parts = self._parts()
        task = TaskScoring(
            Pointer(self.folder),
            Handover(self.folder),
            parts.desk(NothingRestored(), None, "worker 0", 0),
            parts.codec,
            parts.refusals(),
            policy or self.settings.waiting,
            Rows(TOPICS),
            lambda: None,
        )
        self.parts[task] = parts
        return task

    def preloading(self, task: TaskScoring) -> Preloading:
        """What loads coming models in the process of a task."""
        presence = Presence(self.folder, "worker", self.clock)
        return Preloading(Pointer(self.folder), presence, self.parts[task].lease, task.carried_out)

    def publish(self, content: bytes, data_type: str = "wine", **fields: object) -> None:
        message = ModelDescriptor(
            name=content.decode(),
            dataType=data_type,
            modeltype=PMML,
            data=_binary(content),
            version=content.decode(),
        )
        for name, value in fields.items():
            setattr(message, name, value)
        self.published.append(message.SerializeToString())

    def breaks(self, content: bytes, why: str) -> None:
        """From now on a model does not load any more."""
        self.engine.scripts[_binary(content)] = Script(load_error=why)

    def loads(self, content: bytes) -> int:
        """How often a model was loaded."""
        return self.engine.events.count(f"load {_binary(content).decode()}")

    def command(self, command: ModelDescriptor.Command, data_type: str = "wine") -> None:
        self.published.append(ModelDescriptor(dataType=data_type, command=command).SerializeToString())

    def run(self, task: TaskScoring, payloads: Sequence[bytes]) -> None:
        """One task with one chunk of records; its rows are written."""
        task.look()
        first, self.offset = self.offset, self.offset + len(payloads)
        offsets = list(range(first, self.offset))
        self.written += task.score(payloads, origins_of([0] * len(payloads), offsets)).take()

    def on(self, topic: str) -> list[bytes]:
        return [value for to, value, _ in self.written if to == topic]

    @property
    def results(self) -> list[tuple[int, str]]:
        """The number of each scored record, and the version that scored it."""
        found = map(ServingResult.FromString, self.on(TOPICS.results))
        return [(one.submissionTs, one.version) for one in found]

    @property
    def statuses(self) -> list[tuple[str, str]]:
        found = map(ModelStatus.FromString, self.on(TOPICS.status))
        return [(ModelStatus.State.Name(one.state), one.version) for one in found]

    @property
    def letters(self) -> list[DeadLetter]:
        return [DeadLetter.FromString(one) for one in self.on(TOPICS.dead_letters)]

    def _parts(self) -> Parts:
        # Processes do not share what they have loaded.
        return build(
            dataclasses.replace(self.settings), self.clock, ModelPool(self.engine), engines=self.engine
        )

    def _send(self, rows: Iterable[Row]) -> None:
        if self.kill_at is not None:
            if not self.kill_at:
                raise Killed
            self.kill_at -= 1
        self.written += rows


def _binary(name: bytes) -> bytes:
    """A model's content that does not look like text, which no engine takes."""
    return b"\x01" + name


def records(*numbers: int, data_type: str = "wine") -> list[bytes]:
    """Records; a number is the record's time and the model's input."""
    return [WineRecord(dataType=data_type, ts=one, alcohol=one).SerializeToString() for one in numbers]
