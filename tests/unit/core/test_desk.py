"""The serving desk, and models that were admitted but do not load where they serve."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from model_serving.core.batches import Decoded
from model_serving.core.channels import AT_ONCE, Channel, Emitted
from model_serving.core.engine import ModelDescription
from model_serving.core.messages import FailingModel, ModelState, ModelStatus, ModelToServe, ModelType
from model_serving.core.pool import ModelPool
from model_serving.core.scoring.desk import Place, ServingDesk
from model_serving.core.scoring.refusals import Refusals
from model_serving.core.scoring.server import Server
from model_serving.core.scoring.waiting import NoModelPolicy, WaitingPolicy
from model_serving.core.state import Activation, decode_model, encode_activation
from model_serving.testing import (
    POINT,
    FakeClock,
    FakeEngine,
    FakeMessages,
    InMemoryActiveModels,
    InMemoryWaitingRecords,
    Script,
)

BROKEN = Script(load_error="no memory")


class Surroundings:
    """The objects around a desk that survive its restart."""

    def __init__(self) -> None:
        self.engine = FakeEngine(FakeClock(), {b"v2": Script(offset=100)})
        self.messages = FakeMessages()
        self.active = InMemoryActiveModels()
        self.waiting = InMemoryWaitingRecords()

    def desk(self) -> ServingDesk:
        clock, messages = self.engine.clock, self.messages
        return ServingDesk(
            Server(ModelPool(self.engine), POINT, "mdata", clock, failure_threshold=5),
            messages,
            messages,
            Refusals(messages, "mdata", clock),
            self.active,
            self.waiting,
            WaitingPolicy(NoModelPolicy.BUFFER, 10, bounded=False),
            Place("desk", 3),
            clock,
        )

    def statuses(self, emitted: Emitted) -> list[tuple[int, ModelState, str, str]]:
        """Sequence, state, version and detail of each status about a model."""
        said = []
        for swap in emitted.swaps:
            status = self.messages.read(swap.status)
            assert isinstance(status, ModelStatus)
            said.append((swap.sequence, status.state, status.version, status.detail))
        return said


@pytest.fixture
def around() -> Surroundings:
    return Surroundings()


@pytest.fixture
def desk(around: Surroundings) -> Iterator[Callable[[], ServingDesk]]:
    """``desk()`` makes a desk; each has the same state, as after a restart."""
    made: list[ServingDesk] = []

    def make() -> ServingDesk:
        made.append(around.desk())
        return made[-1]

    yield make
    for each in made:
        each.close()
    assert around.engine.live == []


def order(sequence: int, version: str, previous: str = "", *, fallback: bool = False) -> bytes:
    model = ModelToServe("wine", "model", ModelType.PMML, version, version, version.encode())
    return encode_activation(Activation("wine", sequence, model, previous, fallback=fallback))


def take(around: Surroundings, desk: ServingDesk, *records: tuple[int, float]) -> Emitted:
    return desk.take(Decoded([around.messages.batch("wine", records)], []))


def test_the_status_says_who_evaluates_the_model_and_what_to_know_of_it(
    around: Surroundings, desk: Callable[[], ServingDesk]
) -> None:
    around.engine.scripts |= {
        b"v1": Script(description=ModelDescription(evaluator="compiled to numpy")),
        b"v2": Script(description=ModelDescription(notes=("Scores one by\none.", "Reads no dates"))),
    }
    serving = desk()
    said = []
    for number, (version, why) in enumerate([("v1", ""), ("v2", ""), ("v1", "rolled back"), ("v3", "x")]):
        model = ModelToServe("wine", "model", ModelType.PMML, version, version, version.encode())
        (emitted,) = serving.carry_out(encode_activation(Activation("wine", number, model, detail=why)))
        said += [detail for *_, detail in around.statuses(emitted)]
    assert said == [
        "evaluator: compiled to numpy",
        "Scores one by one; Reads no dates",
        "rolled back; evaluator: compiled to numpy",
        "x",
    ]


def test_a_model_that_does_not_load_where_it_serves_is_taken_back_and_the_old_one_serves(
    around: Surroundings, desk: Callable[[], ServingDesk]
) -> None:
    serving = desk()
    list(serving.carry_out(order(1, "v1")))
    around.engine.scripts[b"v2"] = BROKEN
    (emitted,) = serving.carry_out(order(2, "v2", "v1"))
    why = "it cannot be loaded where it serves: no memory"
    assert around.statuses(emitted) == [(AT_ONCE, ModelState.REJECTED, "v2", why)]
    (rollback,) = map(around.messages.read, emitted.on(Channel.ROLLBACKS))
    assert rollback == FailingModel("wine", "model", "v2", 0, why)
    assert emitted.counts.swaps == 0
    assert around.messages.answers(take(around, serving, (7, 1.0))) == [(7, "v1: 1")]
    # The rollback arrives.
    (emitted,) = serving.carry_out(order(3, "v1", "v2", fallback=True))
    assert around.statuses(emitted) == [(3, ModelState.ACTIVE, "v1", "")]


def test_a_fallback_that_does_not_load_lets_records_wait_and_is_not_taken_back(
    around: Surroundings, desk: Callable[[], ServingDesk]
) -> None:
    serving = desk()
    list(serving.carry_out(order(1, "v2")))
    around.engine.scripts[b"v1"] = BROKEN
    (emitted,) = serving.carry_out(order(2, "v1", "v2", fallback=True))
    assert [said[1] for said in around.statuses(emitted)] == [ModelState.REJECTED]
    assert list(emitted.on(Channel.ROLLBACKS)) == []
    assert around.messages.answers(take(around, serving, (7, 1.0))) == []
    _, waited = serving.carry_out(order(3, "v2"))
    assert around.messages.answers(waited) == [(7, "v2: 101")]


def test_a_restored_model_that_does_not_load_any_more_is_said_once_and_its_records_wait(
    around: Surroundings, desk: Callable[[], ServingDesk]
) -> None:
    list(desk().carry_out(order(1, "v1")))
    around.engine.scripts[b"v1"] = BROKEN
    restarted = desk()
    emitted = take(around, restarted, (1, 1.0))
    ((sequence, state, version, detail),) = around.statuses(emitted)
    assert (sequence, state, version) == (AT_ONCE, ModelState.REJECTED, "v1")
    assert detail == (
        "it served before the restart and cannot be loaded any more: no memory; publish it again"
    )
    again = take(around, restarted, (2, 2.0))
    assert (again.results, again.side, again.swaps) == ([], [], [])
    # It stays in state, because it may load after another restart.
    assert decode_model(around.active.models["wine"]).version == "v1"
    swap, waited = restarted.carry_out(order(2, "v2", "v1"))
    assert around.statuses(swap) == [(2, ModelState.ACTIVE, "v2", "")]
    assert around.messages.answers(waited) == [(1, "v2: 101"), (2, "v2: 102")]


def test_a_reminder_names_the_data_type_that_may_have_been_meant(
    around: Surroundings, desk: Callable[[], ServingDesk]
) -> None:
    serving = desk()
    list(serving.carry_out(order(1, "v1")))
    emitted = serving.take(Decoded([around.messages.batch("Wine ", [(1, 1.0)])], []))
    assert (emitted.began_to_wait, emitted.counts.waiting) == (["Wine "], 1)
    reminder = serving.remind("Wine ")
    assert reminder is not None
    ((_, _, _, detail),) = around.statuses(reminder)
    assert detail.startswith("1 record waits for a model of data type 'Wine ': publish one, or")
    assert detail.endswith("send them as 'wine', which is served")
    assert serving.remind("wine") is None


def test_how_many_wait_is_right_after_a_restart_too(
    around: Surroundings, desk: Callable[[], ServingDesk]
) -> None:
    first = take(around, desk(), (1, 1.0), (2, 2.0))
    restarted = desk()
    second = take(around, restarted, (3, 3.0))
    assert (first.counts.waiting, second.counts.waiting, second.began_to_wait) == (2, 3, [])
    _, waited = restarted.carry_out(order(1, "v1"))
    assert waited.counts.waiting == -3
