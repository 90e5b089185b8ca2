"""Starts Python workers as Spark's own daemon does, and lets each make its last reports before it ends.

Spark is told to use this module by ``spark.python.daemon.module``. It ends a worker after about a minute
without work by closing its input, and all workers, at the end of the job, by SIGHUP.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from typing import Any

from model_serving.runtime.variables import variable
from model_serving.spark.workers_end import hold

__all__ = ["await_end", "main"]

_WORKER = "model_serving.spark.worker"
_LAST_REPORT_S = 2.5
"""A little longer than the worker waits for its last reports, in seconds."""


def main() -> None:
    """Runs the daemon until Spark closes its input."""
    from pyspark import daemon

    served = daemon.worker
    is_prepared = False

    def worker(sock: socket.socket, authenticated: bool) -> int:
        """Serves one task; a code other than 0 says that the process ends now."""
        nonlocal is_prepared
        if not is_prepared:
            # In the forked process: the daemon itself may have no threads.
            is_prepared = True
            await_end()
        code: int = served(sock, authenticated)
        if code:
            _report()
        return code

    os.environ[variable("spark-worker")] = "1"
    daemon.worker = worker
    daemon.manager()


def await_end() -> None:
    """From now on SIGHUP ends this process only after its last reports. Call it before other threads start.

    The signal is blocked and a thread waits for it. A handler would not do: Spark puts the default one back
    before each task, and a handler could interrupt a thread that holds what the reports need.
    """
    hold()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    threading.Thread(target=_end_when_told, name="end-when-told", daemon=True).start()


def _end_when_told() -> None:
    signal.sigwait({signal.SIGHUP})
    reporting = threading.Thread(target=_report, daemon=True)
    reporting.start()
    reporting.join(_LAST_REPORT_S)
    os._exit(0)


def _report() -> None:
    # Only if a task has imported it: importing it here would take longer than the end may.
    module: Any = sys.modules.get(_WORKER)
    if module is not None:
        module.end()


if __name__ == "__main__":
    main()
