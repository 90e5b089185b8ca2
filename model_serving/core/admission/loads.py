"""Runs work that may take long or never end, in threads beside the thread that waits for it.

At most a few threads work at a time. They start when there is work and end with it, so no thread runs when
there is nothing to load. Work that exceeds its time limit is given up: its thread cannot be stopped, but it
does not count any more, another thread goes on with the queue, and a result that still comes is released.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from model_serving.core.clock import Clock
from model_serving.core.errors import ModelRejected

__all__ = ["BackgroundLoads", "Load", "Releasable"]


class Releasable(Protocol):
    """The result of work, which has to be released if the work was given up, because nobody uses it then."""

    def release(self) -> None:
        """Gives up what the result holds."""
        ...


_T = TypeVar("_T", bound=Releasable)

_LOOK_S = 0.05
"""How often the time limit is checked while a caller waits for the end of the work, in seconds."""

_SOONEST_MS, _LATEST_MS = 5, 50


class Load(Generic[_T]):
    """A piece of work. Only :class:`BackgroundLoads` reads and changes its attributes."""

    __slots__ = ("asked_ns", "ended", "error", "given", "given_up", "started_ns", "thread", "work")

    def __init__(self, work: Callable[[], _T], asked_ns: int) -> None:
        self.work = work
        self.asked_ns = asked_ns
        self.started_ns: int | None = None
        self.ended = threading.Event()
        self.given: _T | None = None
        self.error: BaseException | None = None
        self.given_up = False
        self.thread: threading.Thread | None = None


class BackgroundLoads(Generic[_T]):
    """Runs pieces of work in a few threads.

    Call order: ``start``, then ``result`` until it returns a result or raises; at the end ``close``. All
    methods are called from one thread; only the work runs in others.
    """

    def __init__(self, at_once: int, timeout_s: float, clock: Clock) -> None:
        """``timeout_s`` counts from when a thread starts the work, not from when it is queued."""
        self._at_once = at_once
        self._timeout_s = timeout_s
        self._clock = clock
        self._lock = threading.Lock()
        self._queue: deque[Load[_T]] = deque()
        self._unclaimed: set[Load[_T]] = set()
        self._threads: set[threading.Thread] = set()

    def start(self, work: Callable[[], _T]) -> Load[_T]:
        """Queues the work; it runs as soon as a thread is free."""
        load = Load(work, self._clock.monotonic_ns())
        with self._lock:
            self._unclaimed.add(load)
            self._queue.append(load)
            self._staff()
        return load

    def result(self, load: Load[_T], wait_s: float = 0.0) -> _T | None:
        """The result of the work; None if it has not ended within ``wait_s`` seconds, which may be inf.

        The caller owns the result and does not ask for it again.

        Raises:
            ModelRejected: the work took longer than the time limit.
            Exception: any exception that the work raised.
        """
        end_ns = self._clock.monotonic_ns() + wait_s * 1e9
        while not load.ended.is_set():
            now_ns = self._clock.monotonic_ns()
            if self._is_late(load, now_ns) and self._give_up(load):
                raise ModelRejected(
                    f"loading took longer than {self._timeout_s:g} s: see what holds it up (its location, "
                    "its size), or start the job with a longer --load-timeout-s"
                )
            left_s = (end_ns - now_ns) / 1e9
            if left_s <= 0 or (not load.ended.wait(min(left_s, _LOOK_S)) and left_s <= _LOOK_S):
                break
        if not load.ended.is_set():
            return None
        self._unclaimed.discard(load)
        error, load.error = load.error, None
        try:
            if error is not None:
                raise error
            return load.given
        finally:
            # The error refers to this frame, and through the work's frames to what was loaded. If this frame
            # also referred to the error, all of it would stay in memory until Python's cyclic garbage
            # collector runs, perhaps many models later.
            del error

    def is_alone(self, load: Load[_T]) -> bool:
        """Whether no other work is queued, runs or has a result that was not fetched."""
        return self._unclaimed == {load}

    def look_in_ms(self, load: Load[_T]) -> int:
        """In how many milliseconds to ask for the result again.

        A twentieth of the time since the work was queued, so that the result comes at most a twentieth later
        than it could; but at least 5 and at most 50. With more loads, the pause has at least as many
        milliseconds as there are loads, so that all callers together ask at most a thousand times a second.
        """
        asked_ms = (self._clock.monotonic_ns() - load.asked_ns) // 1_000_000
        return max(len(self._unclaimed), _SOONEST_MS, min(asked_ms // 20, _LATEST_MS))

    def give_up(self, load: Load[_T]) -> None:
        """Gives up work whose result nobody asks for any more; a result that is there is released."""
        with self._lock:
            if load in self._queue:
                self._queue.remove(load)
        self._give_up(load)
        self._unclaimed.discard(load)
        given, load.given = load.given, None
        if given is not None:
            given.release()

    def close(self, patience_s: float) -> None:
        """Gives up all work. Waits at most ``patience_s`` seconds for running work, then leaves it alone."""
        with self._lock:
            self._queue.clear()
            unclaimed, self._unclaimed = self._unclaimed, set()
            for load in unclaimed:
                load.given_up = not load.ended.is_set()
            threads = tuple(self._threads)
        for load in unclaimed:
            if load.given is not None and not load.given_up:
                load.given.release()
        end_ns = self._clock.monotonic_ns() + patience_s * 1e9
        for thread in threads:
            thread.join(max(0.0, (end_ns - self._clock.monotonic_ns()) / 1e9))

    def _is_late(self, load: Load[_T], now_ns: int) -> bool:
        return load.started_ns is not None and now_ns - load.started_ns > self._timeout_s * 1e9

    def _give_up(self, load: Load[_T]) -> bool:
        """Gives the load up. Returns False if it has just ended."""
        with self._lock:
            if load.ended.is_set():
                return False
            load.given_up = True
            self._unclaimed.discard(load)
            if load.thread is not None:
                self._threads.discard(load.thread)
            self._staff()
        return True

    def _staff(self) -> None:
        """Starts threads while there is work for them; the caller holds the lock."""
        while len(self._threads) < self._at_once and self._queue:
            load = self._queue.popleft()
            load.thread = threading.Thread(target=self._work, args=(load,), name="load-model", daemon=True)
            load.started_ns = self._clock.monotonic_ns()
            self._threads.add(load.thread)
            load.thread.start()

    def _work(self, load: Load[_T]) -> None:
        given: _T | None = None
        error: BaseException | None = None
        try:
            given = load.work()
        # BaseException too: the caller that waits has to know, and this thread cannot tell anybody else.
        except BaseException as raised:  # noqa: BLE001
            error = raised
        with self._lock:
            if not load.given_up:
                load.given, load.error = given, error
                load.ended.set()
            self._threads.discard(threading.current_thread())
            self._staff()
        # The error refers to this frame: see `result`.
        error = None
        if load.given_up and given is not None:
            given.release()
