"""Reports statistics from a thread of its own, which ends with the last instance that it reports for."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Condition, Thread
from typing import Protocol

from model_serving.core.statistics.recorder import Recorder
from model_serving.core.statistics.report import VersionStatistics

__all__ = ["INTERVAL_S", "MOST_AT_ONCE", "Reporter", "StatisticsSink"]

INTERVAL_S = 1.0
"""How often reports are made of what has changed, in seconds."""

MOST_AT_ONCE = 250
"""The most reports at a time: with more versions that change, each is reported less often, in turn."""

_AGAIN_ROUNDS = 3600
"""The number of rounds after which everything is reported again: Kafka deletes what has become old."""

_LAST_ROUNDS = 100
"""The most rounds for an instance's last reports: 25,000 versions."""


class StatisticsSink(Protocol):
    """Where reports go. A sink never waits for its receiver, except in ``close``."""

    def send(self, report: VersionStatistics) -> bool:
        """Takes a report; False if there is no room for it now. It may be lost later, see ``has_lost``."""
        ...

    def has_lost(self) -> bool:
        """Whether a report that was taken has not arrived, since this was asked last."""
        ...

    def close(self, timeout_s: float) -> None:
        """Delivers what was taken, for at most ``timeout_s`` seconds; the sink takes nothing any more."""
        ...


class Reporter:
    """The reporting thread of a process. It runs while there is a recorder to report for.

    An error of the sink loses reports and never reaches the threads that serve: reports are cumulative, so
    the next one repairs the loss.
    """

    def __init__(self, open_sink: Callable[[], StatisticsSink]) -> None:
        """``open_sink`` is called in the reporting thread, once for each time that it runs."""
        self._open_sink = open_sink
        self._changed = Condition()
        self._recorders: list[Recorder] = []
        self._leaving: list[Recorder] = []
        self._thread: Thread | None = None

    def add(self, recorder: Recorder) -> None:
        """Reports for this recorder from now on."""
        with self._changed:
            self._recorders.append(recorder)
            if self._thread is None:
                self._thread = Thread(target=self._run, name="statistics", daemon=True)
                self._thread.start()

    def remove(self, recorder: Recorder, timeout_s: float) -> None:
        """Ends a recorder and makes its last reports. Waits for them at most ``timeout_s`` seconds."""
        recorder.close()
        with self._changed:
            if recorder not in self._recorders:
                return
            self._recorders.remove(recorder)
            self._leaving.append(recorder)
            thread = self._thread
            self._changed.notify_all()
            self._changed.wait_for(lambda: recorder not in self._leaving, timeout_s)
            is_last = thread is not None and thread is not self._thread
        if is_last and thread is not None:
            thread.join(timeout_s)

    def _run(self) -> None:
        sink: StatisticsSink | None = None
        rounds, failed = 0, False
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._leaving), INTERVAL_S)
                recorders, leaving = list(self._recorders), list(self._leaving)
            try:
                sink = self._open_sink() if sink is None else sink
                rounds += 1
                again = sink.has_lost() or failed or rounds % _AGAIN_ROUNDS == 0
                failed = False
                self._report(sink, recorders, again=again)
                for recorder in leaving:
                    _report_last(sink, recorder)
            # Whatever a client library raises, serving goes on without reports for a moment.
            except Exception:  # noqa: BLE001
                _close(sink)
                sink, failed = None, True
            with self._changed:
                if not self._recorders and len(leaving) == len(self._leaving):
                    # The next recorder starts a thread of its own.
                    self._thread = None
                else:
                    self._gone(leaving)
                    continue
            break
        _close(sink)
        with self._changed:
            self._gone(leaving)

    def _gone(self, leaving: list[Recorder]) -> None:
        for recorder in leaving:
            self._leaving.remove(recorder)
        self._changed.notify_all()

    def _report(self, sink: StatisticsSink, recorders: list[Recorder], *, again: bool) -> None:
        room = MOST_AT_ONCE
        for place, recorder in enumerate(recorders):
            if again:
                recorder.report_all()
            # What the others leave is for the last one, and everybody gets a share.
            share = max(1, room // (len(recorders) - place))
            reports = recorder.changed(share)
            room -= len(reports)
            for report in reports:
                if not sink.send(report):
                    recorder.report_all()
                    return


def _report_last(sink: StatisticsSink, recorder: Recorder) -> None:
    for _ in range(_LAST_ROUNDS):
        reports = recorder.changed(MOST_AT_ONCE)
        for report in reports:
            if not sink.send(report):
                return
        if not reports:
            return


def _close(sink: StatisticsSink | None) -> None:
    if sink is not None:
        # There is nobody to tell.
        with suppress(Exception):
            sink.close(_CLOSE_S)


_CLOSE_S = 2.0
"""How long the last reports of a process may take to arrive, in seconds."""
