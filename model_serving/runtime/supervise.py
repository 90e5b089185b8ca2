"""Runs the Flink command line as a child in a session of its own, and ends all its processes at the end.

The child is a shell that becomes Java. Its child is the driver, the Python process that runs the script. A
signal goes only to the driver, which can stop its job properly. Java ends when the driver has ended.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import IO

import psutil

__all__ = ["TraceFilter", "find_driver", "run_supervised"]

_GRACE_S = 30.0
_TERMINATE_S = 5.0
_POLL_S = 0.1
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PR_SET_PDEATHSIG = 1
# Of all Python processes below Java, only the driver has the gateway's port in its environment.
_DRIVER_MARK = "PYFLINK_GATEWAY_PORT"


class TraceFilter:
    """Drops the trace that Flink's command line prints after the script failed with its own clear line.

    It takes standard error line by line and returns the lines to show. The trace begins with a line of
    dashes, a line "The program finished with the following exception:" and an empty line. So a line of dashes
    is held back until the lines after it show what it begins.
    """

    _RULE = b"-" * 20
    _INTRODUCTION = b"The program finished with the following exception"
    _ABORT = b"org.apache.flink.client.program.ProgramAbortException"

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._dropping = False

    def feed(self, line: bytes) -> list[bytes]:
        """Takes a line and returns the lines that may be shown now."""
        if self._dropping:
            return []
        if line.startswith(self._ABORT):
            self._held.clear()
            self._dropping = True
            return []
        stripped = line.strip()
        if stripped.startswith(self._RULE) or (
            self._held and (not stripped or stripped.startswith(self._INTRODUCTION))
        ):
            self._held.append(line)
            return []
        return [*self.flush(), line]

    def flush(self) -> list[bytes]:
        """Returns the lines that are still held back, at the end of the input."""
        held, self._held = self._held, []
        return held


def run_supervised(
    command: Sequence[str | os.PathLike[str]],
    environment: Mapping[str, str],
    *,
    drop_abort_trace: bool,
    grace_s: float = _GRACE_S,
    terminate_s: float = _TERMINATE_S,
) -> int:
    """Runs `command` to its end and returns its exit status (128 + n if signal n ended it).

    On SIGINT, SIGTERM or SIGHUP the driver gets the signal and has `grace_s` seconds to end. After them, or
    at a second signal, the whole session is terminated and, `terminate_s` seconds later, killed. Processes
    that the child leaves in its session are killed too.
    """
    stop = _Stop()
    with stop.installed():
        child = subprocess.Popen(
            list(command),
            env=dict(environment),
            stderr=subprocess.PIPE if drop_abort_trace else None,
            start_new_session=True,
            preexec_fn=_die_with_parent(),  # noqa: PLW1509 (no thread runs yet)
        )
        pump = _start_pump(child.stderr, stop)
        try:
            status = _wait(child, stop, grace_s)
        finally:
            _end_session(child, terminate_s)
            if pump is not None:
                # A process that left the session may keep standard error open; this one must not wait for it.
                pump.join(_TERMINATE_S)
    return status if status >= 0 else 128 - status


def find_driver(java: psutil.Process) -> psutil.Process | None:
    """Returns the script's process below `java`, None when there is none."""
    for child in java.children():
        try:
            if _DRIVER_MARK in child.environ() and "python" in child.name():
                return child
        except psutil.Error:
            continue
    return None


class _Stop:
    """Counts the signals that ask this process to stop, and remembers the first."""

    def __init__(self) -> None:
        self.count = 0
        self.first = signal.SIGTERM

    def installed(self) -> _Handlers:
        return _Handlers(self._note)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self.count == 0:
            self.first = signal.Signals(number)
        self.count += 1


class _Handlers:
    """Signal handlers that are installed inside a `with` block."""

    def __init__(self, handler: Callable[[int, FrameType | None], None]) -> None:
        self._handler = handler
        self._before = {number: signal.getsignal(number) for number in _STOPPING}

    def __enter__(self) -> None:
        for number in _STOPPING:
            signal.signal(number, self._handler)

    def __exit__(self, *_exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def _wait(child: subprocess.Popen[bytes], stop: _Stop, grace_s: float) -> int:
    while True:
        try:
            return child.wait(_POLL_S)
        except subprocess.TimeoutExpired:
            if stop.count:
                return _stop(child, stop, grace_s)


def _stop(child: subprocess.Popen[bytes], stop: _Stop, grace_s: float) -> int:
    driver = _driver_of(child)
    if driver is None:
        # Java has not started the script yet, or there is no script (list, cancel): there is no job to stop.
        return 128 + stop.first
    _signal(driver, stop.first)
    deadline = time.monotonic() + grace_s
    while time.monotonic() < deadline and stop.count < 2:
        try:
            return child.wait(_POLL_S)
        except subprocess.TimeoutExpired:
            continue
    return 128 + stop.first


def _driver_of(child: subprocess.Popen[bytes]) -> psutil.Process | None:
    try:
        return find_driver(psutil.Process(child.pid))
    except psutil.Error:
        return None


def _end_session(child: subprocess.Popen[bytes], terminate_s: float) -> None:
    """Terminates, then kills, every process of the child's session. Usually no process is left."""
    for member in _session_members(child.pid):
        _signal(member, signal.SIGTERM)
    deadline = time.monotonic() + terminate_s
    while (alive := _session_members(child.pid)) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    for member in alive:
        _signal(member, signal.SIGKILL)
    child.wait()


def _session_members(session: int) -> list[psutil.Process]:
    """Returns the processes of the session, without zombies, which may stay if no process collects them."""
    members = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                members.append(process)
        except (psutil.Error, OSError):
            continue
    return members


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.Error:
        return


def _start_pump(source: IO[bytes] | None, stop: _Stop) -> threading.Thread | None:
    if source is None:
        return None
    pump = threading.Thread(target=_pump, args=(source, sys.stderr.buffer, stop), name="stderr", daemon=True)
    pump.start()
    return pump


def _pump(source: IO[bytes], out: IO[bytes], stop: _Stop) -> None:
    trace = TraceFilter()
    with source:
        for line in iter(source.readline, b""):
            # At a second signal the child is killed at once, and its messages about that are of no use.
            if stop.count > 1:
                continue
            out.writelines(trace.feed(line))
            out.flush()
    out.writelines(trace.flush())
    out.flush()


def _die_with_parent() -> Callable[[], None] | None:
    """Returns a function for the child that asks Linux for SIGTERM when this process is killed.

    Without it, a `kill -9` of the `flink` command would leave a minicluster running unseen.
    """
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return lambda: library.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
