"""The machine's clocks: nanoseconds that never go back, and milliseconds since 1970."""

from __future__ import annotations

import time

from model_serving.core.clock import SystemClock


def test_instants_are_epoch_milliseconds() -> None:
    before = time.time_ns() // 1_000_000
    assert before <= SystemClock().epoch_ms() <= time.time_ns() // 1_000_000


def test_durations_are_nanoseconds() -> None:
    clock = SystemClock()
    before = time.perf_counter_ns()
    start, end = clock.monotonic_ns(), clock.monotonic_ns()
    assert before <= start <= end <= time.perf_counter_ns()
