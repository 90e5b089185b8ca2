"""Commits that are under way until the test says so."""

from __future__ import annotations

import threading
from collections.abc import Callable

__all__ = ["HeldThreads", "Killed"]


class Killed(BaseException):
    """The process is killed; nothing of it may go on."""


class HeldThreads:
    """The threads of one process that stand at ``hold``. Give ``thread`` to a module in place of ``Thread``.

    Only one thread runs at a time: a thread that is started runs at once, until it calls ``hold``. It runs
    on when somebody waits for it, or when the test calls ``go_on``. So each run of a test is the same.
    """

    def __init__(self) -> None:
        self._held: list[_HeldThread] = []

    def thread(self, target: Callable[[], None], name: str, daemon: bool) -> _HeldThread:
        """Stands for ``threading.Thread``."""
        return _HeldThread(target, self._held)

    @staticmethod
    def hold() -> None:
        """Holds the thread that calls it, if it is one of these."""
        thread = threading.current_thread()
        if isinstance(thread, _HeldThread):
            thread.hold()

    def go_on(self) -> None:
        """Lets every thread that is held run to its end."""
        for thread in list(self._held):
            thread.join()

    def kill(self) -> None:
        """Ends every thread that is held."""
        for thread in list(self._held):
            thread.is_killed = True
            thread.join()


class _HeldThread(threading.Thread):
    def __init__(self, target: Callable[[], None], held: list[_HeldThread]) -> None:
        super().__init__(target=target, daemon=True)
        self._all = held
        self._stands = threading.Event()
        self._goes = threading.Event()
        self.is_killed = False

    def start(self) -> None:
        super().start()
        self._stands.wait()

    def run(self) -> None:
        try:
            super().run()
        finally:
            self._stands.set()

    def hold(self) -> None:
        """Waits until somebody waits for this thread."""
        self._all.append(self)
        self._stands.set()
        self._goes.wait()
        self._all.remove(self)
        if self.is_killed:
            raise Killed

    def is_alive(self) -> bool:
        return self in self._all

    def join(self, timeout: float | None = None) -> None:
        self._goes.set()
        super().join()
