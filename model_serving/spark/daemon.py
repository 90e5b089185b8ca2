"""Starts Python workers as Spark's own daemon does, and lets each make its last reports before it ends.

Spark is told to use this module by ``spark.python.daemon.module``. It ends a worker after about a minute
without work, by closing its input.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import Any

from model_serving.runtime.variables import variable

__all__ = ["main"]

_WORKER = "model_serving.spark.worker"


def main() -> None:
    """Runs the daemon until Spark closes its input."""
    from pyspark import daemon

    served = daemon.worker

    def worker(sock: socket.socket, authenticated: bool) -> int:
        """Serves one task; a code other than 0 says that the process ends now."""
        code: int = served(sock, authenticated)
        # Only if a task has imported it: the import starts threads, which only a forked process may have.
        module: Any = sys.modules.get(_WORKER)
        if code and module is not None:
            module.end()
        return code

    os.environ[variable("spark-worker")] = "1"
    daemon.worker = worker
    daemon.manager()


if __name__ == "__main__":
    main()
