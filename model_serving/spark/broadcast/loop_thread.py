"""The thread of the models loop."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread

__all__ = ["LoopThread"]

_END_S = 20.0


class LoopThread:
    """Calls ``step`` again and again until it is closed or fails."""

    def __init__(self, step: Callable[[], None], stopping: Event) -> None:
        """``stopping`` is set when the thread is to end."""
        self._step = step
        self._stopping = stopping
        self._failure: BaseException | None = None
        self._thread = Thread(target=self._run, name="models", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def check(self) -> None:
        """Raises what ended the thread, if something did."""
        if self._failure is not None:
            raise self._failure

    def end(self) -> bool:
        """Ends the thread after its step. Returns False if the step takes too long."""
        self._stopping.set()
        self._thread.join(_END_S)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._step()
        # Whatever it is, the job ends with it.
        except BaseException as error:  # noqa: BLE001
            self._failure = error
