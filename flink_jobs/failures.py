"""Finds the cause of a job's failure and puts it into one line."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["FailureWatch", "cause_of"]

_GOES_ON = {"CREATED", "RESTARTING", "RUNNING"}
_BRIDGE = re.compile(r"^(?:pemja\.core\.PythonException: )?<class '(?:builtins\.)?([\w.]+)'>: ")
_TRACEBACK = "Traceback (most recent call last):"


class FailureWatch:
    """Gives the cause of each failure of a running job, once."""

    def __init__(self) -> None:
        self._last_ms = 0

    def news(self, graph: Any) -> str | None:
        """The cause of a new failure after which the job restarts, on one line; None if there is none.

        ``graph`` is Flink's execution graph as it is now.
        """
        failure = graph.getFailureInfo()
        if failure is None or failure.getTimestamp() <= self._last_ms:
            return None
        if graph.getState().toString() not in _GOES_ON:
            return None
        self._last_ms = failure.getTimestamp()
        return cause_of(failure.getException())


def cause_of(java: Any) -> str:
    """The first cause of a Java exception, on one line."""
    while java.getCause() is not None:
        java = java.getCause()
    text = str(java.getMessage() or java.toString())
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [text]
    # A Python error arrives with its traceback, whose last line names it. In thread mode it arrives without a
    # traceback, behind the name of the bridge between Java and Python.
    line = lines[-1] if _TRACEBACK in text else lines[0]
    return _BRIDGE.sub(r"\1: ", line)
