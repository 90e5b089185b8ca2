"""Workers are started, started again, given up and ended; they end with whoever has started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

import pytest

from model_serving.events import Events, LogFormat
from model_serving.server import workers as module
from model_serving.server.config import parse_config
from model_serving.server.workers import WORKER_MARK, end_with_parent, run_workers


@dataclass
class Process:
    """See ``subprocess.Popen``."""

    command: list[str]
    options: dict[str, Any]
    status: int | None = None
    stubborn: bool = False
    did: list[str] = field(default_factory=list)
    stdin: None = None

    def poll(self) -> int | None:
        return self.status

    def terminate(self) -> None:
        self.did.append("terminate")
        if not self.stubborn:
            self.status = 0

    def kill(self) -> None:
        self.did.append("kill")
        self.status = -signal.SIGKILL

    def wait(self, timeout: float | None = None) -> int:
        if self.status is None:
            raise subprocess.TimeoutExpired("worker", timeout or 0)
        return self.status


class Machine:
    """Starts the fake processes; ``rounds`` are called one after the other, in place of the pauses."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        self.processes: list[Process] = []
        self.rounds: list[Any] = []
        monkeypatch.setattr(module, "time", self)
        monkeypatch.setattr(subprocess, "Popen", self._start)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.rounds:
            self.rounds.pop(0)()

    def run(self, *rounds: Any, workers: int = 2) -> int:
        self.rounds = list(rounds)
        argv = ["--workers", str(workers), "--name", "one", "--data-topic", "d"]
        return run_workers(
            parse_config(argv, {}), argv, Events(LogFormat.TEXT, "one"), lambda: not self.rounds
        )

    def ends(self, number: int, status: int) -> Any:
        """Ends the process that was started as the ``number``-th."""

        def end() -> None:
            self.processes[number].status = status

        return end

    def passes(self, seconds: float) -> Any:
        def later() -> None:
            self.now += seconds

        return later

    @property
    def names(self) -> list[str]:
        return [process.command[-1] for process in self.processes]

    def _start(self, command: list[str], **options: Any) -> Process:
        self.processes.append(Process(command, options))
        return self.processes[-1]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def nothing() -> None:
    """A round in which nothing happens."""


def test_each_worker_has_the_flags_and_a_name_of_its_own(machine: Machine) -> None:
    assert machine.run(nothing, workers=3) == 0
    assert machine.names == ["one-0", "one-1", "one-2"]
    first = machine.processes[0]
    assert first.command[:4] == [sys.executable, "-m", "model_serving.client.cli", "run"]
    flags = first.command[4:]
    assert flags == [
        "--workers",
        "3",
        "--name",
        "one",
        "--data-topic",
        "d",
        "--workers",
        "1",
        "--name",
        "one-0",
    ]
    assert parse_config(flags, {}).name == "one-0"
    assert first.options["env"][WORKER_MARK] == str(os.getpid())
    assert [process.did for process in machine.processes] == [["terminate"]] * 3


def test_a_worker_that_ends_is_started_again_at_first_at_once_then_later(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    ends = [machine.ends(1, -9), nothing, nothing, machine.ends(2, 1), nothing, nothing]
    assert machine.run(*ends) == 0
    assert machine.names == ["one-0", "one-1", "one-1"]
    later = machine.run(machine.ends(4, 1), nothing, nothing, machine.ends(5, 1), machine.passes(1), nothing)
    assert (later, machine.names[3:]) == (0, ["one-0", "one-1", "one-1", "one-1"])
    assert capsys.readouterr().err.count("worker one-1 ended with status -9 and is started again") == 1


def test_a_worker_that_fails_again_and_again_is_given_up_and_the_others_are_ended(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail_newest() -> None:
        if machine.processes[-1].status is None:
            machine.processes[-1].status = 1
        machine.now += 10

    assert machine.run(*[fail_newest] * 100) == 1
    assert machine.names.count("one-1") == 10
    assert machine.processes[0].did == ["terminate"]
    assert "worker one-1 ended with status 1 and is given up" in capsys.readouterr().err


def test_failures_with_calm_between_them_are_not_counted_together(machine: Machine) -> None:
    rounds = []
    for number in range(20):
        rounds += [machine.passes(121), machine.ends(1 + number, -9), nothing, nothing]
    assert machine.run(*rounds) == 0
    assert machine.names.count("one-1") == 21


def test_a_wrong_call_is_given_up_at_once(machine: Machine) -> None:
    assert machine.run(machine.ends(0, 2), nothing) == 2
    assert machine.names == ["one-0", "one-1"]
    assert machine.processes[1].did == ["terminate"]


def test_it_ends_when_all_have_finished(machine: Machine) -> None:
    assert machine.run(machine.ends(0, 0), machine.ends(1, 0), *[nothing] * 5) == 0
    assert (len(machine.processes), len(machine.rounds)) == (2, 4)


def test_a_worker_that_does_not_end_is_killed(machine: Machine) -> None:
    def cling() -> None:
        machine.processes[1].stubborn = True

    assert machine.run(cling) == 0
    assert [process.did for process in machine.processes] == [["terminate"], ["terminate", "kill"]]


WAITS = """
import os, threading
from model_serving.server.workers import end_with_parent
ended = threading.Event()
end_with_parent(os.environ, ended.set)
print("waits", flush=True)
assert ended.wait(120)
print("ended", flush=True)
"""


def test_a_worker_ends_when_its_parent_is_gone() -> None:
    environ = {**os.environ, WORKER_MARK: "1"}
    with subprocess.Popen(
        [sys.executable, "-c", WAITS], env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        assert worker.stdout.readline() == "waits\n"
        # The kernel does the same when the parent is killed.
        worker.stdin.close()
        assert worker.stdout.readline() == "ended\n"
    assert worker.returncode == 0


def test_a_process_that_nobody_has_started_as_a_worker_does_not_watch_its_input(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "read", lambda *_: pytest.fail("it read its input"))
    end_with_parent({}, lambda: pytest.fail("it ended"))
