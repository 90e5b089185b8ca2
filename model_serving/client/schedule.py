"""A steady schedule: so many a second, kept over any length of time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

__all__ = ["steady"]

# Shorter naps cost more than they give: at high rates several fall due together.
_SHORTEST_NAP_S = 0.001


def steady(
    rate: float,
    *,
    now_ns: Callable[[], int] = time.monotonic_ns,
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[int]:
    """How many are due, each time that some are; the first at once. Never ends.

    The n-th is due n / ``rate`` seconds after the first, whatever the time between: one that comes late
    does not delay those after it.

    Args:
        rate: per second, greater than 0.
        now_ns: a monotonic clock, nanoseconds.
        sleep: waits for so many seconds.
    """
    start = now_ns()
    done = 0
    while True:
        due = math.floor((now_ns() - start) * rate / 1e9) + 1
        if due > done:
            yield due - done
            done = due
        else:
            left_s = done / rate - (now_ns() - start) / 1e9
            sleep(max(left_s, _SHORTEST_NAP_S))
