"""The reporting thread: reports what changed, ends with the last recorder, and never harms who serves."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from model_serving.core.clock import SystemClock
from model_serving.core.messages import DeadLetter, Reason
from model_serving.core.statistics import reporter as module
from model_serving.core.statistics.recorder import Identity, Recorder
from model_serving.core.statistics.report import VersionStatistics
from model_serving.core.statistics.reporter import Reporter
from tests.patience import patience

LETTER = DeadLetter(Reason.NO_MODEL, "", b"", "mdata", 1, "wine")


class Sink:
    """Keeps the reports; ``full``: takes none."""

    def __init__(self) -> None:
        self.reports: list[VersionStatistics] = []
        self.arrived = threading.Condition()
        self.full = False
        self.lost = False
        self.error: Exception | None = None
        self.closed = 0

    def send(self, report: VersionStatistics) -> bool:
        if self.error is not None:
            raise self.error
        with self.arrived:
            if not self.full:
                self.reports.append(report)
            self.arrived.notify_all()
        return not self.full

    def has_lost(self) -> bool:
        lost, self.lost = self.lost, False
        return lost

    def close(self, timeout_s: float) -> None:
        self.closed += 1

    def wait_for(self, condition: Any) -> None:
        with self.arrived:
            assert self.arrived.wait_for(condition, patience(20))


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(module, "INTERVAL_S", 0.01)
    before = threading.active_count()
    yield
    assert threading.active_count() <= before, "a reporting thread is left"


@pytest.fixture
def sink() -> Sink:
    return Sink()


def recorder(instance: str = "0") -> Recorder:
    return Recorder(Identity("run", instance, "server"), SystemClock())


def test_what_changes_is_reported_and_what_does_not_is_not(sink: Sink) -> None:
    reporter, counted = Reporter(lambda: sink), recorder()
    reporter.add(counted)
    counted.letter(LETTER)
    sink.wait_for(lambda: len(sink.reports) == 1)
    counted.letter(LETTER)
    sink.wait_for(lambda: len(sink.reports) == 2)
    reporter.remove(counted, patience(20))
    assert [one.dead_letters for one in sink.reports] == [{"NO_MODEL": 1}, {"NO_MODEL": 2}]
    assert sink.closed == 1


def test_the_last_reports_of_each_instance_are_made(sink: Sink) -> None:
    reporter, first, second = Reporter(lambda: sink), recorder("0"), recorder("1")
    reporter.add(first)
    reporter.add(second)
    for counted in (first, second):
        counted.letter(LETTER)
        reporter.remove(counted, patience(20))
    newest = {one.instance: one.dead_letters for one in sink.reports}
    assert newest == {"0": {"NO_MODEL": 1}, "1": {"NO_MODEL": 1}}


def test_it_runs_again_for_a_new_recorder(sink: Sink) -> None:
    reporter = Reporter(lambda: sink)
    for _ in range(3):
        counted = recorder()
        reporter.add(counted)
        counted.letter(LETTER)
        reporter.remove(counted, patience(20))
    assert len(sink.reports) == 3
    assert sink.closed == 3


def test_a_recorder_that_has_gone_is_not_waited_for(sink: Sink) -> None:
    reporter = Reporter(lambda: sink)
    reporter.remove(recorder(), 60)


def test_reports_without_room_are_made_later(sink: Sink) -> None:
    sink.full = True
    reporter, counted = Reporter(lambda: sink), recorder()
    reporter.add(counted)
    counted.letter(LETTER)
    with sink.arrived:
        sink.arrived.wait(patience(20))
        sink.full = False
    sink.wait_for(lambda: len(sink.reports) == 1)
    reporter.remove(counted, patience(20))


def test_lost_reports_are_made_again(sink: Sink) -> None:
    reporter, counted = Reporter(lambda: sink), recorder()
    reporter.add(counted)
    counted.letter(LETTER)
    sink.wait_for(lambda: len(sink.reports) == 1)
    sink.lost = True
    sink.wait_for(lambda: len(sink.reports) == 2)
    reporter.remove(counted, patience(20))


def test_an_error_of_the_sink_does_not_end_the_thread(sink: Sink) -> None:
    sink.error = RuntimeError("no Kafka")
    opened = []

    def open_sink() -> Sink:
        opened.append(1)
        if len(opened) == 2:
            sink.error = None
        return sink

    reporter, counted = Reporter(open_sink), recorder()
    reporter.add(counted)
    counted.letter(LETTER)
    sink.wait_for(lambda: len(sink.reports) == 1)
    reporter.remove(counted, patience(20))
    assert len(opened) == 2


def test_a_sink_that_does_not_open_holds_nobody_up() -> None:
    def refuse() -> Sink:
        raise OSError("no certificate")

    reporter, counted = Reporter(refuse), recorder()
    reporter.add(counted)
    counted.letter(LETTER)
    reporter.remove(counted, patience(20))


def test_many_versions_are_reported_in_turn(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_AT_ONCE", 7)
    reporter, counted = Reporter(lambda: sink), recorder()
    for number in range(50):
        counted.letter(DeadLetter(Reason.NO_MODEL, "", b"", "mdata", 1, f"type {number}"))
    reporter.add(counted)
    sink.wait_for(lambda: len({one.data_type for one in sink.reports}) == 50)
    reporter.remove(counted, patience(20))
    assert len(sink.reports) == 50
