"""Models that admission has let in and that do not load in the operator that serves them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from functions.broadcast import BroadcastModelServing
from functions.keyed import KeyedModelServing
from functions.types import ROLLBACKS, UNMATCHED
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.modelstatus_pb2 import ModelStatus
from model_serving.settings import ServingSettings
from model_serving.testing import FakeEngine, Script
from tests.unit.functions.emitted import activation, batch, model, read, reading, result, swapped
from tests.unit.functions.fake_flink import FakeFlink

_BROKEN = Script(load_error="no memory")


@dataclass(frozen=True, slots=True)
class Serving:
    """One of the two serving operators, fed in the same way."""

    operator: Any
    flink: FakeFlink
    reporter: str

    def take_model(self, order: tuple[str, bytes]) -> list[Any]:
        """The output for an activation."""
        if isinstance(self.operator, BroadcastModelServing):
            return read(self.operator.process_broadcast_element(order, self.flink))
        self.flink.key = order[0]
        return read(self.operator.process_element1(order, self.flink))

    def take_records(self, *records: bytes) -> list[Any]:
        """The output for records."""
        if isinstance(self.operator, BroadcastModelServing):
            return read(self.operator.process_element((records,), self.flink))
        self.flink.key = "hall"
        return read(self.operator.process_element2(batch(*records), self.flink))


@pytest.fixture(params=[KeyedModelServing, BroadcastModelServing], ids=["keyed", "broadcast"])
def started(
    request: pytest.FixtureRequest, settings: ServingSettings, flink: FakeFlink, engine: FakeEngine
) -> Iterator[Callable[[], Serving]]:
    """``started()`` makes the operator, and closes the one before, whose state it has: a restart."""
    opened: list[Any] = []

    def start() -> Serving:
        if opened:
            opened.pop().close()
        opened.append(request.param(settings))
        opened[-1].open(flink)
        return Serving(opened[-1], flink, "keyed" if request.param is KeyedModelServing else "broadcast 1")

    yield start
    for operator in opened:
        operator.close()


def _statuses(emitted: list[Any]) -> list[ModelStatus]:
    said = (element[-1] for element in emitted if isinstance(element, tuple))
    return [one for one in said if isinstance(one, ModelStatus)]


def test_a_rollback_is_asked_for_and_the_old_model_goes_on(
    started: Callable[[], Serving], engine: FakeEngine
) -> None:
    serving = started()
    assert serving.take_model(activation(1, model("v1"))) == [swapped(1, "v1", reporter=serving.reporter)]
    engine.scripts[b"v2"] = _BROKEN
    emitted = serving.take_model(activation(2, model("v2"), "v1"))
    (status,) = _statuses(emitted)
    why = "it cannot be loaded where it serves: no memory"
    assert (status.state, status.version, status.detail) == (ModelStatus.REJECTED, "v2", why)
    (rollback,) = (element[1] for element in emitted if element[0] is ROLLBACKS)
    assert ModelDescriptor.FromString(rollback) == ModelDescriptor(
        name="model",
        description=why,
        dataType="hall",
        version="v2",
        command=ModelDescriptor.ROLLBACK,
    )
    assert serving.take_records(reading(1), reading(2)) == [result(1, "v1"), result(2, "v1")]


def test_a_restored_model_that_does_not_load_is_said_and_its_records_are_not_lost(
    started: Callable[[], Serving], engine: FakeEngine
) -> None:
    started().take_model(activation(1, model("v1")))
    engine.scripts[b"v1"] = _BROKEN
    restored = started()
    emitted = restored.take_records(reading(1))
    (status,) = _statuses(emitted)
    assert (status.state, status.version) == (ModelStatus.REJECTED, "v1")
    assert status.detail == (
        "it served before the restart and cannot be loaded any more: no memory; publish it again"
    )
    after = restored.take_model(activation(2, model("v2"), "v1"))
    kept = [element for element in (*emitted, *after) if element == result(101, "v2")]
    handed_on = [element[1] for element in emitted if isinstance(element, tuple) and element[0] is UNMATCHED]
    # The keyed operator scores the record with the next model; the broadcast operator hands it on to one.
    assert (kept, handed_on) in [([result(101, "v2")], []), ([], [("hall", [reading(1)])])]
    assert not any(element == result(1, "v1") for element in emitted)
