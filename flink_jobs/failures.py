"""Says on the terminal that a local job failed and restarts, and why: Flink says so in its log alone."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyflink.common.job_client import JobClient

__all__ = ["FailureWatch", "cause_of"]

_LOOK_EVERY_S = 0.5
_GOES_ON = {"CREATED", "RESTARTING", "RUNNING"}
_BRIDGE = re.compile(r"^(?:pemja\.core\.PythonException: )?<class '(?:builtins\.)?([\w.]+)'>: ")
_TRACEBACK = "Traceback (most recent call last):"


class FailureWatch:
    """Gives the cause of each failure of a running job, once. Watches nothing when the job is not local.

    A minicluster keeps a job's last failure in its execution graph; the client that PyFlink has of it hides
    the minicluster, and there is no other way to it.
    """

    def __init__(self, job: JobClient) -> None:
        self._job_id = job.get_job_id()._j_job_id  # noqa: SLF001 - no public way to the Java object
        self._cluster = _minicluster(job)
        self._last_ms = 0
        self._next_look_s = 0.0

    def news(self) -> str | None:
        """The cause of a failure that was not told before and after which the job restarts, on one line."""
        if self._cluster is None or time.monotonic() < self._next_look_s:
            return None
        self._next_look_s = time.monotonic() + _LOOK_EVERY_S
        # Py4J wraps whatever goes wrong, as it does when the minicluster ends meanwhile: then the job's own
        # result says all.
        try:
            graph = self._cluster.getExecutionGraph(self._job_id).get()
            failure = graph.getFailureInfo()
            if failure is None or failure.getTimestamp() <= self._last_ms:
                return None
            if graph.getState().toString() not in _GOES_ON:
                return None
            self._last_ms = failure.getTimestamp()
            return cause_of(failure.getException())
        except Exception:  # noqa: BLE001
            return None


def cause_of(java: Any) -> str:
    """The first cause of a Java exception, on one line."""
    while java.getCause() is not None:
        java = java.getCause()
    text = str(java.getMessage() or java.toString())
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [text]
    # A Python fault arrives with its traceback, whose last line names it; in thread mode with the name of the
    # bridge that carried it instead.
    line = lines[-1] if _TRACEBACK in text else lines[0]
    return _BRIDGE.sub(r"\1: ", line)


def _minicluster(job: JobClient) -> Any:
    client = job._j_job_client  # noqa: SLF001
    for field in client.getClass().getDeclaredFields():
        if field.getName() == "miniCluster":
            field.setAccessible(True)
            return field.get(client)
    return None
