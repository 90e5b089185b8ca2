"""Lets the driver wait until the worker processes on its machine have ended, after their last reports.

Each worker holds a shared lock on a file that the driver names in the environment; the kernel lets go of it
when the process ends, in whatever way.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from model_serving.runtime.variables import variable

__all__ = ["awaited_workers", "hold"]

_FILE = variable("spark-workers")
_WAIT_S = 4.0
_LOOK_S = 0.02


def hold() -> None:
    """In a worker: holds the lock until the process ends, if the driver is on this machine."""
    name = os.environ.get(_FILE)
    if name:
        # The file is another machine's, or the driver has gone already.
        with suppress(OSError):
            fcntl.flock(os.open(name, os.O_RDONLY), fcntl.LOCK_SH)


@contextmanager
def awaited_workers() -> Iterator[None]:
    """In the driver, before Spark starts: at the end, waits for the workers for up to four seconds."""
    with tempfile.NamedTemporaryFile(prefix="model-serving-workers-") as file:
        os.environ[_FILE] = file.name
        try:
            yield
        finally:
            del os.environ[_FILE]
            end_s = time.monotonic() + _WAIT_S
            while not _has(file.fileno()) and time.monotonic() < end_s:
                time.sleep(_LOOK_S)


def _has(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
