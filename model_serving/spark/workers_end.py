"""Lets the worker processes on the driver's machine make their last reports before Spark kills them.

Two files that the driver names in the environment carry locks, which the kernel releases when a process ends
in whatever way. The driver holds the first one until the job ends: a thread of each worker waits for it. Each
worker holds the second one until it has reported: the driver waits for that.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

from model_serving.runtime.variables import variable

__all__ = ["reports_awaited", "when_the_job_ends"]

_FILES = variable("spark-ending")
_HELD, _AWAITED = "serving", "reporting"
_WAIT_S = 3.0
_LOOK_S = 0.02


@contextmanager
def reports_awaited() -> Iterator[None]:
    """In the driver, from before Spark starts until before it stops: then waits for up to three seconds."""
    with (
        tempfile.TemporaryDirectory(prefix="model-serving-ending-") as folder,
        Path(folder, _HELD).open("wb") as held,
        Path(folder, _AWAITED).open("wb") as awaited,
    ):
        fcntl.flock(held, fcntl.LOCK_EX)
        os.environ[_FILES] = folder
        try:
            yield
        finally:
            del os.environ[_FILES]
            fcntl.flock(held, fcntl.LOCK_UN)
            end_s = time.monotonic() + _WAIT_S
            while not _is_free(awaited.fileno()) and time.monotonic() < end_s:
                time.sleep(_LOOK_S)


def when_the_job_ends(report: Callable[[], None]) -> None:
    """In a worker: calls ``report``, in a thread, when the driver on this machine ends the job or dies.

    Does nothing where the driver is on another machine.
    """
    folder = os.environ.get(_FILES)
    if folder is None:
        return
    try:
        held = os.open(Path(folder, _HELD), os.O_RDONLY)
        own = os.open(Path(folder, _AWAITED), os.O_RDONLY)
    except OSError:
        return
    fcntl.flock(own, fcntl.LOCK_SH)

    def wait() -> None:
        fcntl.flock(held, fcntl.LOCK_SH)
        try:
            report()
        finally:
            os.close(own)
            os.close(held)

    Thread(target=wait, name="last-reports", daemon=True).start()


def _is_free(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
