"""Runs a command that must not outlive the program that needs it.

``python guard.py GRACE_S FOLDER COMMAND...`` starts COMMAND and ends it (SIGTERM, after GRACE_S seconds
SIGKILL to its process group) as soon as its own standard input is closed or it gets SIGTERM. Whoever
started it holds the other end of that pipe, and the kernel closes it however the holder ends, ``kill -9``
included. When the end was asked for, FOLDER is removed ("" for none); when COMMAND ends by itself FOLDER
stays, for its logs. The exit status is COMMAND's.

It runs as a script by itself, with the standard library alone: `Guarded` is the side of the holder.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

__all__ = ["Guarded"]

_PR_SET_PDEATHSIG = 1


class Guarded:
    """A command that runs under the guard, and ends with this process at the latest.

    Args:
        command: the program and its arguments.
        grace_s: seconds between SIGTERM and SIGKILL.
        output: where the command's standard output and error go.
        remove: a folder that is removed after `stop`.
        environ: the command's environment; this process's own when left out.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        grace_s: float,
        output: IO[bytes],
        remove: Path | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._grace_s = grace_s
        # A session of its own: Ctrl-C in the terminal goes to the holder, which decides what ends when.
        self._process = subprocess.Popen(
            [sys.executable, "-I", __file__, str(grace_s), str(remove or ""), *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=None if environ is None else dict(environ),
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """Process id of the guard; the command is its only child."""
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """The command's exit status (negative: the signal that ended it), None while it runs."""
        return self._process.poll()

    def stop(self) -> None:
        """Ends the command and waits until it is gone. Can be called more than once."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()
        try:
            self._await_end()
        except KeyboardInterrupt:
            self._await_end()
            raise

    def _await_end(self) -> None:
        try:
            self._process.wait(self._grace_s + 10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _die_with(parent: int) -> None:
    """In the child, before it runs the command: ends with the guard even when that is killed (Linux only)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)


def _supervise(command: Sequence[str], grace_s: float, remove: Path | None) -> int:
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    guard = os.getpid()
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: _die_with(guard),  # noqa: PLW1509 - this process has one thread
    )
    asked = False
    while not asked and child.poll() is None:
        ready, _, _ = select.select([sys.stdin.fileno(), woken], [], [])
        if woken in ready:
            asked = signal.SIGTERM in os.read(woken, 64)
        if sys.stdin.fileno() in ready:
            asked = asked or not os.read(sys.stdin.fileno(), 64)
    if asked:
        child.terminate()
        try:
            child.wait(grace_s)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        if remove is not None:
            shutil.rmtree(remove, ignore_errors=True)
    return child.returncode


if __name__ == "__main__":
    _grace_s, _remove, *_command = sys.argv[1:]
    _status = _supervise(_command, float(_grace_s), Path(_remove) if _remove else None)
    sys.exit(_status if _status >= 0 else 128 - _status)
