"""Starts Python workers as Spark's own daemon does, sooner, and lets each make its last reports.

Spark is told to use this module by ``spark.python.daemon.module``. It ends a worker after about a minute
without work, by closing its input. So the next records, or the next model, often find a new process.
"""

from __future__ import annotations

import gc
import os
import socket
import sys
from contextlib import suppress
from importlib import import_module
from typing import Any

from model_serving.runtime.variables import variable

__all__ = ["main"]

_WORKER = "model_serving.spark.worker"

_AHEAD = ("pandas", "pyarrow", _WORKER, "model_serving.engines.pmml.engine")
"""What tasks import. Workers are forks of this process, so it is imported once, in 0.6 s of processor time,
and is in memory once. No client of Kafka and no library for models is made here: a fork has no threads."""


def main() -> None:
    """Runs the daemon until Spark closes its input."""
    from pyspark import daemon

    served = daemon.worker

    def worker(sock: socket.socket, authenticated: bool) -> int:
        """Serves one task; a code other than 0 says that the process ends now."""
        code: int = served(sock, authenticated)
        module: Any = sys.modules.get(_WORKER)
        if code and module is not None:
            module.end()
        return code

    for name in _AHEAD:
        # Where it is missing, a task that needs it says so.
        with suppress(ImportError):
            import_module(name)
    gc.collect()
    gc.freeze()
    os.environ[variable("spark-worker")] = "1"
    daemon.worker = worker
    daemon.manager()


if __name__ == "__main__":
    main()
