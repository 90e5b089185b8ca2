"""Activations are handed over in their order, with their models loaded."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from model_serving.core.errors import ContentUnavailable, ModelRejected
from model_serving.core.guarded import GuardedModel
from model_serving.core.messages import ModelToServe, ModelType
from model_serving.core.pool import Lease, ModelPool
from model_serving.core.state import Activation, encode_activation
from model_serving.server.entries import Key, Kind
from model_serving.server.mirror import Mirror
from model_serving.server.swaps import Swap, SwapQueue
from model_serving.testing import POINT, FakeClock, FakeEngine, Script
from tests.jobs import eventually
from tests.unit.server.states import StateLog


def order(data_type: str, sequence: int, content: bytes | None = b"model") -> bytes:
    model = (
        None
        if content is None
        else ModelToServe(data_type, "model", ModelType.PMML, f"v{sequence}", content.hex(), content)
    )
    return encode_activation(Activation(data_type, sequence, model))


def write(log: StateLog, data_type: str, sequence: int, content: bytes | None = b"model") -> bytes:
    made = order(data_type, sequence, content)
    log.put(Key(Kind.ACTIVATION, data_type), made)
    log.put(Key(Kind.UNCONFIRMED, data_type, str(sequence)), b"1")
    return made


class Loads:
    """Leases from a pool with a fake engine."""

    def __init__(self) -> None:
        self.engine = FakeEngine(FakeClock())
        self._pool = ModelPool(self.engine)

    def lease(self, model: ModelToServe) -> Lease:
        return self._pool.acquire(model, POINT)


@pytest.fixture
def loads() -> Loads:
    return Loads()


@pytest.fixture
def queue(mirror: Mirror, loads: Loads) -> Iterator[SwapQueue]:
    made = SwapQueue(mirror, loads.lease)
    yield made
    made.stop()
    made.join(60)
    assert not made.is_alive()


def handed_over(queue: SwapQueue, count: int) -> list[Swap]:
    swaps: list[Swap] = []

    def more() -> bool:
        while (swap := queue.next()) is not None:
            swaps.append(swap)
        return len(swaps) >= count and queue.is_idle

    eventually(more, lambda: f"{len(swaps)} of {count} swaps", within_s=30, step_s=0.005)
    assert len(swaps) == count
    return swaps


def test_activations_come_in_their_order_with_their_models(
    queue: SwapQueue, log: StateLog, loads: Loads
) -> None:
    queue.follow()
    assert queue.is_idle
    orders = [write(log, "wine", 1, b"one"), write(log, "beer", 1, b"two"), write(log, "wine", 2, None)]
    swaps = handed_over(queue, 3)
    assert [swap.order for swap in swaps] == orders
    assert [swap.lease is not None for swap in swaps] == [True, True, False]
    assert loads.engine.live == ["one", "two"]
    for swap in swaps:
        swap.done()
    assert loads.engine.live == []


def test_what_nobody_has_confirmed_comes_first_and_once_for_each_data_type(
    queue: SwapQueue, log: StateLog
) -> None:
    write(log, "wine", 9)
    last = write(log, "wine", 10)
    confirmed = write(log, "beer", 1)
    log.put(Key(Kind.UNCONFIRMED, "beer", "1"), None)
    queue.follow()
    new = write(log, "wine", 11)
    swaps = handed_over(queue, 2)
    assert [swap.order for swap in swaps] == [last, new]
    assert confirmed not in [swap.order for swap in swaps]
    for swap in swaps:
        swap.done()


def test_an_activation_of_several_parts_comes_whole(queue: SwapQueue, log: StateLog) -> None:
    queue.follow()
    large = write(log, "wine", 1, b"a" * 2_000_000)
    (swap,) = handed_over(queue, 1)
    assert swap.order == large
    swap.done()


@pytest.mark.parametrize(
    "error", [ModelRejected("not a model"), ContentUnavailable("the store is away"), RuntimeError("a bug")]
)
def test_a_model_that_cannot_be_loaded_is_handed_over_too(
    mirror: Mirror, log: StateLog, error: Exception
) -> None:
    """The desk finds out again, and says so; the models after it are loaded."""
    loads = Loads()

    def lease(model: ModelToServe) -> Lease:
        if model.data_type == "bad":
            raise error
        return loads.lease(model)

    queue = SwapQueue(mirror, lease)
    queue.follow()
    orders = [write(log, "bad", 1), write(log, "wine", 1)]
    swaps = handed_over(queue, 2)
    assert [(swap.order, swap.lease is None) for swap in swaps] == [(orders[0], True), (orders[1], False)]
    for swap in swaps:
        swap.done()
    queue.stop()


def test_a_load_that_is_under_way_is_not_idle_and_stop_does_not_wait_for_it(
    mirror: Mirror, log: StateLog
) -> None:
    gate, began = threading.Event(), threading.Event()
    loads = Loads()
    loads.engine.scripts[b"slow"] = Script(gate=gate)

    def lease(model: ModelToServe) -> Lease:
        began.set()
        return loads.lease(model)

    queue = SwapQueue(mirror, lease)
    queue.follow()
    write(log, "wine", 1, b"slow")
    assert began.wait(60)
    assert (queue.is_idle, queue.next()) == (False, None)
    queue.stop()
    gate.set()
    queue.join(60)
    assert not queue.is_alive()
    write(log, "wine", 2)
    assert loads.engine.live == []


def test_stop_releases_what_was_loaded(mirror: Mirror, log: StateLog, loads: Loads) -> None:
    queue = SwapQueue(mirror, loads.lease)
    queue.follow()
    write(log, "wine", 1, b"one")
    eventually(lambda: not queue.is_idle and loads.engine.live == ["one"], lambda: "loads", within_s=30)
    queue.stop()
    queue.join(60)
    assert loads.engine.live == []


def test_a_lease_of_a_swap_is_given_back_once(mirror: Mirror) -> None:
    released: list[str] = []
    model = Loads().lease(ModelToServe("wine", "model", ModelType.PMML, "v1", "00", b"model")).model
    assert isinstance(model, GuardedModel)
    swap = Swap(b"", Lease(model, lambda: released.append("released")))
    swap.done()
    swap.done()
    assert released == ["released"]
