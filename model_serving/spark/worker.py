"""What a Python worker process of Spark has once: clock, loaded models, the core's parts, and statistics.

Spark ships a function to its workers with cloudpickle, so an object that must not be copied cannot be part of
it. The function takes such objects from this module when it runs. The driver uses them too, where it admits
models.
"""

from __future__ import annotations

import gc
import os
from threading import Lock

from model_serving import assembly
from model_serving.core.clock import Clock, SystemClock
from model_serving.core.statistics.recorder import Recorder
from model_serving.core.statistics.reporter import Reporter
from model_serving.runtime.variables import variable
from model_serving.settings import ServingSettings
from model_serving.spark.workers_end import when_the_job_ends

__all__ = ["CLOCK", "ENGINES", "POOL", "WORKER_MARK", "end", "freeze", "parts"]

CLOCK: Clock = SystemClock()

POOL = assembly.new_pool()
"""The loaded models of this process."""

ENGINES: assembly.EngineSource = assembly.engine_for
"""The engines that load models."""

WORKER_MARK = variable("spark-worker")
"""The environment variable that a worker process has and the driver does not."""

_LAST_REPORT_S = 2.0
"""How long the end of a process waits for its last reports, in seconds."""

_lock = Lock()
_parts: dict[ServingSettings, assembly.Parts] = {}
_recorders: dict[ServingSettings, tuple[Reporter, Recorder]] = {}


def parts(settings: ServingSettings) -> assembly.Parts:
    """The parts of this process for these settings: the same object for equal settings.

    They count in the statistics, if there is a topic for them.

    Raises:
        ValueError: the record type cannot be used; the text says why.
    """
    with _lock:
        made = _parts.get(settings)
        if made is None:
            made = assembly.build(settings, CLOCK, POOL, ENGINES, recorder=_recorder(settings))
            _parts[settings] = made
        return made


def freeze() -> None:
    """Leaves all objects that exist now out of later garbage collections. Call it after loading a model.

    Spark's workers collect garbage after each task. With a large model loaded this took ten times as long as
    scoring a task's records.
    """
    gc.collect()
    gc.freeze()


def end() -> None:
    """Makes the last reports of statistics. Gives up if Kafka does not take them within two seconds."""
    with _lock:
        recorders = list(_recorders.values())
        _recorders.clear()
        _parts.clear()
    for reporter, recorder in recorders:
        reporter.remove(recorder, _LAST_REPORT_S)


def _recorder(settings: ServingSettings) -> Recorder | None:
    reporter = assembly.new_reporter(settings)
    if reporter is None:
        return None
    place = "worker" if WORKER_MARK in os.environ else "driver"
    recorder = assembly.new_recorder(settings, f"{place} {os.getpid()}", CLOCK)
    reporter.add(recorder)
    if WORKER_MARK in os.environ and not _recorders:
        when_the_job_ends(end)
    _recorders[settings] = (reporter, recorder)
    return recorder
