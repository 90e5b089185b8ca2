"""The clock that the core is given: durations from a monotonic clock, instants as epoch milliseconds."""

from __future__ import annotations

import time
from typing import Protocol

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """The source of time for the core."""

    def monotonic_ns(self) -> int:
        """Nanoseconds since some fixed instant; never goes back. For durations only."""
        ...

    def epoch_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC. For instants only."""
        ...


class SystemClock:
    """The machine's clocks."""

    def monotonic_ns(self) -> int:
        """See ``Clock``."""
        return time.perf_counter_ns()

    def epoch_ms(self) -> int:
        """See ``Clock``."""
        return time.time_ns() // 1_000_000
