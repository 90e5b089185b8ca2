"""A model is loaded once for all its users, and closed when the last user releases it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from model_serving.core.engine import LoadedModel, RecordSchema
from model_serving.core.errors import ModelRejected
from model_serving.core.messages import ModelToServe, ModelType, OutputRule
from model_serving.core.pool import ModelPool
from model_serving.testing import POINT, FakeClock, FakeEngine, FakeModel, Script

MODEL = ModelToServe("wine", "model", ModelType.PMML, "v1", "sha-1", b"one")
OTHER = replace(MODEL, version="v2", sha256="sha-2", content=b"two")
PATIENCE_S = 10


class _Gated(FakeEngine):
    """Calls ``before_load`` with the model's content before it loads."""

    def __init__(self, before_load: Callable[[bytes], None]) -> None:
        super().__init__(FakeClock())
        self._before_load = before_load

    def load(self, model: ModelToServe, schema: RecordSchema) -> FakeModel:
        self._before_load(model.content)
        return super().load(model, schema)


def test_one_load_for_all_who_want_the_model_and_one_close(engine: FakeEngine, pool: ModelPool) -> None:
    first, second = pool.acquire(MODEL, POINT), pool.acquire(replace(MODEL, version="another name"), POINT)
    assert first.model is second.model
    assert (engine.events, pool.live) == (["load one"], 1)
    first.release()
    first.release()
    assert (engine.events, pool.live) == (["load one"], 1)
    second.release()
    assert (engine.events, pool.live) == (["load one", "close one"], 0)
    pool.acquire(MODEL, POINT).release()
    assert engine.events == ["load one", "close one"] * 2


def test_it_is_known_that_a_model_loads() -> None:
    seen: list[bool] = []
    pool = ModelPool(lambda _: _Gated(lambda _: seen.append(pool.is_loading)))
    assert not pool.is_loading
    pool.with_source(lambda _: _Gated(lambda _: seen.append(pool.is_loading))).acquire(MODEL, POINT)
    pool.acquire(MODEL, POINT, lambda _: pytest.fail("it is loaded"))
    assert seen == [True]
    assert not pool.is_loading


def test_a_load_that_fails_is_over() -> None:
    def fail(_content: bytes) -> None:
        raise ModelRejected("no")

    pool = ModelPool(lambda _: _Gated(fail))
    with pytest.raises(ModelRejected):
        pool.acquire(MODEL, POINT)
    assert not pool.is_loading


@pytest.mark.parametrize(
    ("other", "schema"),
    [
        (replace(MODEL, sha256="sha-2"), POINT),
        (replace(MODEL, model_type=ModelType.ONNX), POINT),
        (replace(MODEL, inputs=("x",)), POINT),
        (replace(MODEL, output=OutputRule.ARGMAX), POINT),
        (replace(MODEL, signature_name="predict"), POINT),
        (replace(MODEL, result_output="predict"), POINT),
        (MODEL, RecordSchema("Line", ("x", "y"))),
    ],
)
def test_what_scores_otherwise_is_another_model(
    engine: FakeEngine, pool: ModelPool, other: ModelToServe, schema: RecordSchema
) -> None:
    leases = [pool.acquire(MODEL, POINT), pool.acquire(other, schema)]
    assert leases[0].model is not leases[1].model
    assert pool.live == 2
    for lease in leases:
        lease.release()
    assert engine.live == []


def test_threads_that_want_the_same_model_wait_for_one_load() -> None:
    together = threading.Barrier(8)
    engine = _Gated(lambda content: None)
    pool = ModelPool(engine)

    def use(_: int) -> LoadedModel:
        together.wait(PATIENCE_S)
        lease = pool.acquire(MODEL, POINT)
        together.wait(PATIENCE_S)
        lease.release()
        return lease.model

    with ThreadPoolExecutor(8) as threads:
        used = list(threads.map(use, range(8)))
    assert all(model is used[0] for model in used)
    assert (engine.events, pool.live) == (["load one", "close one"], 0)


def test_a_model_that_loads_keeps_nobody_waiting_who_wants_another() -> None:
    other_is_there = threading.Event()

    def before_load(content: bytes) -> None:
        if content == b"one":
            assert other_is_there.wait(PATIENCE_S), "the other model could not be acquired meanwhile"

    engine = _Gated(before_load)
    pool = ModelPool(engine)
    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(pool.acquire, MODEL, POINT)
        fast = pool.acquire(OTHER, POINT)
        other_is_there.set()
        slow.result(PATIENCE_S).release()
    fast.release()
    assert engine.events == ["load two", "load one", "close one", "close two"]


def test_a_failing_load_leaves_nothing_and_the_next_try_loads(engine: FakeEngine, pool: ModelPool) -> None:
    engine.scripts[b"one"] = Script(load_error="not a model")
    with pytest.raises(ModelRejected, match=r"^not a model$"):
        pool.acquire(MODEL, POINT)
    assert (pool.live, engine.events) == (0, [])
    engine.scripts[b"one"] = Script()
    lease = pool.acquire(MODEL, POINT)
    assert pool.live == 1
    lease.release()
    assert (pool.live, engine.live) == (0, [])


def test_whoever_waited_for_a_failing_load_tries_itself() -> None:
    calls: list[bytes] = []
    second_waits = threading.Event()

    def before_load(content: bytes) -> None:
        calls.append(content)
        if len(calls) == 1:
            assert second_waits.wait(PATIENCE_S)
            raise ModelRejected("out of memory just now")

    engine = _Gated(before_load)
    pool = ModelPool(engine)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(pool.acquire, MODEL, POINT)
        second = threads.submit(pool.acquire, MODEL, POINT)
        second_waits.set()
        outcomes = [future.exception(PATIENCE_S) for future in (first, second)]
        leases = [future.result() for future in (first, second) if future.exception() is None]
    assert sorted(str(error) for error in outcomes) == ["None", "out of memory just now"]
    assert pool.live == 1
    leases[0].release()
    assert (engine.live, pool.live) == ([], 0)


def test_many_threads_leave_nothing_behind() -> None:
    """Many leases on few models. The fake model fails if it is used after close or closed twice."""
    engine = FakeEngine(FakeClock())
    pool = ModelPool(engine)
    models = [replace(MODEL, sha256=f"sha-{number}", content=b"%d" % number) for number in range(3)]

    def use(seed: int) -> None:
        for step in range(200):
            lease = pool.acquire(models[(seed * 7 + step * step) % 3], POINT)
            assert lease.model.score(_ROW).result.tolist() == [1.0]
            lease.release()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(use, range(8)))
    assert (pool.live, engine.live) == (0, [])


_ROW = np.array([[1.0, 2.0]])
