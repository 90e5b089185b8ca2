"""Statistics of the operators: each instance counts for itself, and one thread of the process reports."""

from __future__ import annotations

from threading import Lock

from functions import process
from model_serving import assembly
from model_serving.core.statistics.recorder import Recorder
from model_serving.core.statistics.reporter import Reporter
from model_serving.settings import ServingSettings

__all__ = ["InstanceStatistics"]

_LAST_REPORT_S = 3.0
"""How long the end of an operator waits for its last reports. Flink cancels what takes much longer."""

_lock = Lock()
_reporters: dict[tuple[object, ...], Reporter] = {}
"""The reporter of each statistics topic. In thread mode, one process runs the operators of several jobs."""


class InstanceStatistics:
    """What one instance of an operator counts. Make it in ``open``, close it in ``close``.

    After a restart of the job the counts begin at 0 again, under another run.
    """

    def __init__(self, settings: ServingSettings, operator: str, subtask: int) -> None:
        """``operator`` tells the operators of a job apart, whose subtasks have the same numbers."""
        self.recorder: Recorder | None = None
        self._reporter = _reporter_of(settings)
        if self._reporter is not None:
            self.recorder = assembly.new_recorder(settings, f"{operator} {subtask}", process.CLOCK)
            self._reporter.add(self.recorder)

    def close(self) -> None:
        """Makes the last reports; gives up if Kafka does not take them soon."""
        if self._reporter is not None and self.recorder is not None:
            self._reporter.remove(self.recorder, _LAST_REPORT_S)
            self.recorder = None


def _reporter_of(settings: ServingSettings) -> Reporter | None:
    properties = tuple(sorted(settings.kafka_config.items()))
    key = (settings.bootstrap_servers, settings.stats_topic, properties)
    with _lock:
        if key not in _reporters:
            reporter = assembly.new_reporter(settings)
            if reporter is None:
                return None
            _reporters[key] = reporter
        return _reporters[key]
