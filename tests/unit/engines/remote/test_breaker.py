"""When a breaker is open, half open and closed."""

from __future__ import annotations

import threading

from model_serving.engines.remote.breaker import Breaker


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def made(chance: float = 0.5) -> tuple[Breaker, Clock]:
    clock = Clock()
    return Breaker(clock, lambda: chance), clock


def test_pauses_double_up_to_the_longest_and_a_success_makes_them_short_again() -> None:
    breaker, clock = made()
    pauses = []
    for number in range(6):
        breaker.open(f"failure {number}")
        assert (breaker.is_open, breaker.why) == (True, f"failure {number}")
        pauses.append(breaker.wait_ms())
        assert not breaker.may_look()
        clock.now_s += pauses[-1] / 1000
        assert breaker.may_look()
    assert pauses == [250, 500, 1000, 1000, 1000, 1000]
    breaker.close()
    assert not breaker.is_open
    breaker.open("it only said that it was well")
    assert breaker.wait_ms() == 1000
    clock.now_s += 1
    assert breaker.may_look()
    breaker.close()
    breaker.succeeded()
    breaker.open("later")
    assert breaker.wait_ms() == 250


def test_jitter_keeps_jobs_from_asking_at_the_same_time() -> None:
    waits = []
    for chance in (0.0, 1.0):
        breaker, _ = made(chance)
        breaker.open("x")
        waits.append(breaker.wait_ms())
    assert waits == [188, 312]


def test_only_one_looks_and_the_others_ask_again_soon() -> None:
    breaker, clock = made()
    breaker.open("x")
    clock.now_s += 1
    found: list[bool] = []
    threads = [threading.Thread(target=lambda: found.append(breaker.may_look())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [False] * 7 + [True]
    assert (breaker.is_open, breaker.wait_ms()) == (True, 50)


def test_failures_of_requests_that_were_under_way_do_not_make_the_pause_longer() -> None:
    breaker, _ = made()
    for _ in range(4):
        breaker.open("x")
    assert breaker.wait_ms() == 250
