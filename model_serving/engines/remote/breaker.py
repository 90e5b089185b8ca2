"""A breaker: after a failure, requests fail at once for a while, then one look decides whether to go on.

It has three states. *Closed*: requests go through. *Open*: they do not, until a pause is over. *Half open*:
the pause is over, and one look at the server is under way; if it finds the server well, the breaker closes,
else it opens again for twice as long. Only a request that succeeds makes the next pause short again: a server
may answer that it is well and fail all the same.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

__all__ = ["Breaker"]

_FIRST_S, _LONGEST_S = 0.25, 1.0
"""The shortest and the longest pause, in seconds: a server that is back gets records again within the
longest one and its jitter."""

_JITTER = 0.25
_LOOK_MS = 50
"""How soon to ask again while the server is being looked at, in milliseconds."""


class Breaker:
    """Safe to use from several threads."""

    def __init__(
        self, now_s: Callable[[], float] = time.monotonic, chance: Callable[[], float] = random.random
    ) -> None:
        """``now_s`` gives seconds that never go back, ``chance`` numbers from 0 to 1 for the jitter."""
        self._now_s = now_s
        self._chance = chance
        self._lock = threading.Lock()
        self._until_s: float | None = None
        self._failures = 0
        self._is_looking = False
        self._why = ""

    @property
    def is_open(self) -> bool:
        """Whether requests must not go through; also true while it is half open."""
        return self._until_s is not None

    @property
    def why(self) -> str:
        """What failed last."""
        return self._why

    def wait_ms(self) -> int:
        """In how many milliseconds to ask again; at least 1."""
        with self._lock:
            if self._until_s is None:
                return 1
            if self._is_looking:
                return _LOOK_MS
            return max(1, round((self._until_s - self._now_s()) * 1000))

    def may_look(self) -> bool:
        """Whether the caller has to look at the server now, and then call ``close`` or ``open``."""
        with self._lock:
            if self._until_s is None or self._is_looking or self._now_s() < self._until_s:
                return False
            self._is_looking = True
            return True

    def open(self, why: str) -> None:
        """The server failed: no requests for a while. Failures while it is open count only for a look."""
        with self._lock:
            if self._until_s is not None and not self._is_looking:
                return
            pause_s = min(_LONGEST_S, _FIRST_S * 2.0 ** min(self._failures, 16))
            self._failures += 1
            self._is_looking = False
            self._why = why
            self._until_s = self._now_s() + pause_s * (1 + _JITTER * (2 * self._chance() - 1))

    def close(self) -> None:
        """The server is well: requests go through."""
        with self._lock:
            self._until_s = None
            self._is_looking = False

    def succeeded(self) -> None:
        """A request succeeded: the next pause is a short one."""
        if self._failures and self._until_s is None:
            self._failures = 0
