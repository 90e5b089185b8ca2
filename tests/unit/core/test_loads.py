"""Work in the background: a few at a time, in order, within a time limit, and nothing is left behind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import inf

import pytest

from model_serving.core.admission.loads import BackgroundLoads
from model_serving.core.errors import ModelRejected
from model_serving.testing import FakeClock
from tests.jobs import eventually


@dataclass(eq=False)
class Gift:
    """Work and its result in one; the work waits until a test sets ``door``."""

    door: threading.Event = field(default_factory=threading.Event)
    begun: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None

    def work(self) -> Gift:
        self.begun.set()
        assert self.door.wait(60)
        if self.error is not None:
            raise self.error
        return self

    def release(self) -> None:
        assert not self.released.is_set()
        self.released.set()


@pytest.fixture
def loads(clock: FakeClock) -> Iterator[BackgroundLoads[Gift]]:
    """At most two loads at a time, for at most 10 s each."""
    made: BackgroundLoads[Gift] = BackgroundLoads(2, 10, clock)
    yield made
    made.close(0)
    await_no_threads()


@pytest.fixture
def gift() -> Iterator[Callable[[], Gift]]:
    """Makes gifts, and opens their doors when the test is over."""
    made: list[Gift] = []

    def give() -> Gift:
        made.append(Gift())
        return made[-1]

    yield give
    for each in made:
        each.door.set()


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "load-model"]


def await_no_threads() -> None:
    eventually(lambda: not threads(), lambda: str(threads()), within_s=30)


def test_work_gives_its_result_once_it_has_ended(
    loads: BackgroundLoads[Gift], gift: Callable[[], Gift]
) -> None:
    one = gift()
    load = loads.start(one.work)
    assert loads.is_alone(load)
    assert loads.result(load) is None
    assert loads.result(load, 0.01) is None
    one.door.set()
    assert loads.result(load, inf) is one
    assert not one.released.is_set()
    await_no_threads()


def test_what_work_raises_is_raised_to_who_asks(
    loads: BackgroundLoads[Gift], gift: Callable[[], Gift]
) -> None:
    one = gift()
    one.error = RuntimeError("bug")
    one.door.set()
    load = loads.start(one.work)
    with pytest.raises(RuntimeError, match=r"^bug$"):
        loads.result(load, inf)


def test_so_many_run_at_once_and_the_others_in_order(
    loads: BackgroundLoads[Gift], gift: Callable[[], Gift]
) -> None:
    one, two, three, four = gifts = [gift() for _ in range(4)]
    started = [loads.start(each.work) for each in gifts]
    assert not loads.is_alone(started[0])
    assert one.begun.wait(30)
    assert two.begun.wait(30)
    assert len(threads()) == 2
    two.door.set()
    assert three.begun.wait(30)
    assert not four.begun.is_set()
    for each in gifts:
        each.door.set()
    assert [loads.result(load, inf) for load in started] == gifts


def test_work_that_takes_too_long_is_given_up_and_loses_its_place(
    loads: BackgroundLoads[Gift], gift: Callable[[], Gift], clock: FakeClock
) -> None:
    stuck, late, queued = gifts = [gift() for _ in range(3)]
    first, second, third = [loads.start(each.work) for each in gifts]
    assert late.begun.wait(30)
    clock.pass_ns(10_000_000_000)
    assert [loads.result(load) for load in (first, second, third)] == [None] * 3
    clock.pass_ns(1)
    with pytest.raises(ModelRejected) as rejected:
        loads.result(first)
    assert str(rejected.value) == (
        "loading took longer than 10 s: see what holds it up (its location, its size), "
        "or start the job with a longer --load-timeout-s"
    )
    # Time counts from when the work starts, not from when it is queued.
    assert queued.begun.wait(30)
    assert loads.result(third) is None
    stuck.door.set()
    assert stuck.released.wait(30)
    # Work that has ended before the time limit is checked is not late.
    late.door.set()
    eventually(second.ended.is_set, lambda: "not ended", within_s=30)
    assert loads.result(second) is late
    queued.door.set()
    assert loads.result(third, inf) is queued
    assert [each.released.is_set() for each in gifts] == [True, False, False]


def test_close_gives_up_what_runs_drops_what_is_queued_and_releases_what_nobody_took(
    clock: FakeClock, gift: Callable[[], Gift]
) -> None:
    loads: BackgroundLoads[Gift] = BackgroundLoads(2, 10, clock)
    ended, runs, also_runs, queued = gifts = [gift() for _ in range(4)]
    ended.door.set()
    first, *_ = [loads.start(each.work) for each in gifts]
    eventually(first.ended.is_set, lambda: "not ended", within_s=30)
    assert also_runs.begun.wait(30)
    loads.close(0)
    loads.close(0)
    assert [each.released.is_set() for each in gifts] == [True, False, False, False]
    for each in gifts:
        each.door.set()
    assert runs.released.wait(30)
    assert also_runs.released.wait(30)
    await_no_threads()
    assert not queued.begun.is_set()


def test_what_nobody_asks_for_any_more_is_dropped_or_released(
    loads: BackgroundLoads[Gift], gift: Callable[[], Gift]
) -> None:
    ended, runs, also_runs, queued = gift(), gift(), gift(), gift()
    ended.door.set()
    load = loads.start(ended.work)
    eventually(load.ended.is_set, lambda: "it has not ended", within_s=30)
    loads.give_up(load)
    assert ended.released.is_set()
    running = [loads.start(one.work) for one in (runs, also_runs)]
    assert runs.begun.wait(30)
    loads.give_up(loads.start(queued.work))
    for each in running:
        loads.give_up(each)
    for one in (runs, also_runs):
        one.door.set()
        assert one.released.wait(30)
    await_no_threads()
    assert not queued.begun.is_set()


def test_close_waits_for_what_is_about_to_end(clock: FakeClock, gift: Callable[[], Gift]) -> None:
    loads: BackgroundLoads[Gift] = BackgroundLoads(2, 10, clock)
    one = gift()
    loads.start(one.work)
    threading.Timer(0.05, one.door.set).start()
    loads.close(30)
    assert one.released.is_set()


@pytest.mark.parametrize(
    ("others", "passed_ms", "look_in_ms"),
    [(0, 0, 5), (0, 99, 5), (0, 600, 30), (0, 5_000, 50), (20, 0, 21), (20, 5_000, 50), (200, 5_000, 201)],
)
def test_one_looks_again_after_a_twentieth_of_the_time_but_many_not_too_often(
    clock: FakeClock, gift: Callable[[], Gift], others: int, passed_ms: int, look_in_ms: int
) -> None:
    loads: BackgroundLoads[Gift] = BackgroundLoads(1, 10, clock)
    load, *_ = [loads.start(gift().work) for _ in range(1 + others)]
    clock.pass_ns(passed_ms * 1_000_000)
    assert loads.look_in_ms(load) == look_in_ms
    loads.close(0)
