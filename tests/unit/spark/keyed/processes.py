"""Worker processes of a keyed job, the rows that they get, and what they give, in short texts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from model_serving.core.channels import Channel, Emitted
from model_serving.protos.deadletter_pb2 import DeadLetter
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.modelstatus_pb2 import ModelStatus
from model_serving.protos.servingresult_pb2 import ServingResult
from model_serving.settings import ServingSettings
from model_serving.spark import worker
from model_serving.spark.keyed.routing import Route, RouteModels, RouteRecords
from model_serving.spark.keyed.rows import Kind, RoutedRow
from model_serving.spark.keyed.serving import KeyedServing
from model_serving.testing import FakeClock
from tests.protos.sensorreading_pb2 import SensorReading

__all__ = ["Processes", "command", "deploy", "kafka", "reading", "routed", "told", "tolds"]


class Processes:
    """Makes processes, and ends them."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._made: list[KeyedServing] = []
        self.paused_s: list[float] = []
        """How long the processes have waited for something, each time; the clock goes on meanwhile."""

    def start(self, settings: ServingSettings) -> KeyedServing:
        """A process that remembers nothing."""
        made = KeyedServing(worker.parts(settings), settings, self._clock, self._pause)
        self._made.append(made)
        return made

    def close(self) -> None:
        """Ends all of them."""
        for made in self._made:
            made.close()

    def _pause(self, seconds: float) -> None:
        self.paused_s.append(seconds)
        self._clock.pass_ns(round(seconds * 1e9))


def reading(temperature: float, data_type: str = "hall") -> bytes:
    return SensorReading(dataType=data_type, ts=5, temperature=temperature).SerializeToString()


def deploy(version: str, data_type: str = "hall", **fields: Any) -> bytes:
    content = {"data": version.encode(), "modeltype": ModelDescriptor.ONNX, "name": "model"}
    made = ModelDescriptor(dataType=data_type, version=version, **{**content, **fields})
    return made.SerializeToString()


def command(name: str, data_type: str = "hall", version: str = "") -> bytes:
    return ModelDescriptor(dataType=data_type, command=name, version=version).SerializeToString()


def kafka(messages: Iterable[bytes | None], *, partition: int = 0, offset: int = 0) -> pa.RecordBatch:
    """Messages as Spark's Kafka source gives them, from an offset on."""
    values = list(messages)
    return pa.RecordBatch.from_pydict(
        {
            "value": pa.array(values, pa.binary()),
            "partition": pa.array([partition] * len(values), pa.int32()),
            "offset": pa.array(range(offset, offset + len(values)), pa.int64()),
        }
    )


def routed(
    settings: ServingSettings,
    *,
    models: Iterable[bytes | None] = (),
    records: Iterable[bytes | None] = (),
    offset: int = 0,
) -> dict[str, list[RoutedRow]]:
    """The rows of a batch by their data type, records first. The offsets of both topics begin at one."""
    rows: dict[str, list[RoutedRow]] = {}
    topics: list[tuple[Route, Iterable[bytes | None]]] = [
        (RouteRecords(settings), records),
        (RouteModels(settings), models),
    ]
    for route, messages in topics:
        for batch in route.rows([kafka(messages, offset=offset)]):
            for row in batch.to_pylist():
                made = RoutedRow(row["data_type"], Kind(row["kind"]), row["place"], row["body"])
                rows.setdefault(made.data_type, []).append(made)
    return rows


def told(emitted: Emitted) -> list[str]:
    """What one call to the core has given, in short texts."""
    said = [_result(ServingResult.FromString(one)) for one in emitted.results]
    said += [_status(ModelStatus.FromString(one)) for one in emitted.on(Channel.STATUSES)]
    said += [_status(ModelStatus.FromString(swap.status)) for swap in emitted.swaps]
    for one in emitted.on(Channel.DEAD_LETTERS):
        letter = DeadLetter.FromString(one)
        reason = DeadLetter.Reason.Name(letter.reason)
        said.append(f"{reason} {letter.dataType}")
    said += ["rollback" for _ in emitted.on(Channel.ROLLBACKS)]
    return said


def tolds(given: Iterable[Emitted]) -> list[str]:
    """What a batch has given, in short texts."""
    return [one for emitted in given for one in told(emitted)]


def _result(result: ServingResult) -> str:
    return f"{result.dataType} {result.result:g} by {result.version}"


def _status(status: ModelStatus) -> str:
    if status.waiting:
        return f"{status.dataType}: {status.waiting} wait"
    state = ModelStatus.State.Name(status.state)
    return f"{status.dataType}: {status.version} {state}"
