"""Tells what becomes of models on standard output: one line for each status, never one for each record.

Python's own logging has no way out of Flink's thread mode. Standard output is the terminal of a local job,
and the ``.out`` file of a TaskManager. Not standard error: where a job is started as a script, PyFlink makes
that of its Java process a pipe which nobody reads, and a full pipe would stop the job. As with Flink's own
log, MODEL_SERVING_LOG_FORMAT chooses text or JSON; with ROOT_LOG_LEVEL from WARN on, nothing is told.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from model_serving.events import Events, LogFormat, Stream
from model_serving.runtime.variables import variable

__all__ = ["tell_statuses"]

_IS_JSON = os.environ.get(variable("log_format"), "").lower() == LogFormat.JSON.value
_IS_TOLD = os.environ.get("ROOT_LOG_LEVEL", "INFO").upper() in {"ALL", "TRACE", "DEBUG", "INFO"}
_EVENTS = Events(LogFormat.JSON if _IS_JSON else LogFormat.TEXT, "model-serving", Stream.OUTPUT)


def tell_statuses(statuses: Sequence[bytes]) -> None:
    """Tells each of the encoded model statuses."""
    if _IS_TOLD:
        _EVENTS.statuses(statuses)
