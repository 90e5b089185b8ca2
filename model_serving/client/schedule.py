"""A steady schedule: a number of items a second, exact over any length of time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

__all__ = ["steady"]

# A shorter sleep would waste processor time. At high rates several items are due together.
_SHORTEST_NAP_S = 0.001


def steady(
    rate: float,
    *,
    now_ns: Callable[[], int] = time.monotonic_ns,
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[int]:
    """Yields the number of items that are due, each time that some are, and the first at once. Never ends.

    Item n is due n / ``rate`` seconds after the first one, so a late item does not delay those after it.

    Args:
        rate: items a second, greater than 0.
        now_ns: a monotonic clock, nanoseconds.
        sleep: waits for a number of seconds.
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
