"""Several processes on one machine that share the work: starts them, starts them again, and ends them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from model_serving.events import Events
from model_serving.runtime.variables import variable
from model_serving.server.config import ServerConfig

__all__ = ["end_with_parent", "run_workers"]

_LOOK_S = 0.2
_PAUSES_S = (0.0, 1.0, 5.0, 10.0)
_CALM_S = 120.0
_GRACE_S = 20.0
_WRONG_CALL = 2
WORKER_MARK = variable("worker-of")
"""The environment variable that tells a worker who has started it."""

_FAILURES = 10
"""A worker that fails this often in a row, without two calm minutes in between, is given up."""


class _Worker:
    """One process, and when it is to be started again."""

    def __init__(self, name: str, argv: Sequence[str]) -> None:
        self.name = name
        self._argv = argv
        self._failures = 0
        self._again_s: float | None = None
        self._start()

    def look(self, now_s: float) -> int | None:
        """Starts the process again if it is time to. The exit status if it has ended since the last look."""
        if self._again_s is not None:
            if now_s >= self._again_s:
                self._start()
            return None
        status = self._process.poll()
        if status:
            calm = now_s - self._started_s > _CALM_S
            self._failures = 1 if calm else self._failures + 1
            self._again_s = now_s + _PAUSES_S[min(self._failures, len(_PAUSES_S)) - 1]
        return status

    @property
    def is_hopeless(self) -> bool:
        """Whether it has failed too often in a row."""
        return self._failures >= _FAILURES

    def terminate(self) -> None:
        """Asks the process to end."""
        if self._process.poll() is None:
            self._process.terminate()

    def await_end(self, timeout_s: float) -> None:
        """Waits for the end, and then kills the process."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _start(self) -> None:
        self._again_s = None
        self._started_s = time.monotonic()
        # The last value of a flag counts.
        own = ("--workers", "1", "--name", self.name)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "model_serving.client.cli", "run", *self._argv, *own],
            env={**os.environ, WORKER_MARK: str(os.getpid())},
            stdin=subprocess.PIPE,
            process_group=0,  # Ctrl-C in a terminal is for this process, which then ends the workers
        )


def run_workers(
    config: ServerConfig, argv: Sequence[str], events: Events, stopping: Callable[[], bool]
) -> int:
    """Runs the workers until ``stopping`` says so, or until each has finished.

    Returns:
        The exit status: 0, or that of a worker that was given up; the others are ended then.
    """
    workers = [
        _Worker(f"{config.name}-{number}", (*argv, *_own_port(config.http_port, number)))
        for number in range(config.workers)
    ]
    try:
        while workers and not stopping():
            for worker in list(workers):
                status = worker.look(time.monotonic())
                if status == 0:
                    workers.remove(worker)
                elif status is not None:
                    ended = f"worker {worker.name} ended with status {status}"
                    if status == _WRONG_CALL or worker.is_hopeless:
                        events.tell("worker", f"{ended} and is given up")
                        return status if status > 0 else 1
                    events.tell("worker", f"{ended} and is started again")
            time.sleep(_LOOK_S)
    finally:
        for worker in workers:
            worker.terminate()
        end_s = time.monotonic() + _GRACE_S
        for worker in workers:
            worker.await_end(max(0.1, end_s - time.monotonic()))
    return 0


def _own_port(port: int, number: int) -> tuple[str, ...]:
    return ("--http-port", str(port + number)) if port else ()


def end_with_parent(environ: Mapping[str, str], stop: Callable[[], None]) -> None:
    """In a worker: calls ``stop`` when the process that started it has ended, in whatever way."""
    if WORKER_MARK in environ:
        threading.Thread(target=_wait_for_end_of_input, args=(stop,), daemon=True).start()


def _wait_for_end_of_input(stop: Callable[[], None]) -> None:
    # The parent never writes; the kernel closes the pipe when the parent ends.
    os.read(0, 1)
    stop()
