"""Runs a command that must not outlive the program that needs it.

``python guard.py GRACE_S FOLDER COMMAND...`` starts COMMAND and ends it (SIGTERM, after GRACE_S seconds
SIGKILL to its process group) when the guard's standard input is closed or the guard gets SIGTERM. The
process that started the guard holds the other end of that pipe, and the kernel closes it when that process
ends in any way, also by ``kill -9``. The guard removes FOLDER ("" for none) after it has ended COMMAND; when
COMMAND ends by itself, FOLDER is kept for its logs. The exit status is COMMAND's.

The guard is a script that needs only the standard library. `Guarded` starts it.
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
        output: the file for the command's standard output and error.
        remove: a folder that is removed after `stop`.
        environ: the command's environment; this process's own if None.
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
        # The guard has a session of its own, so that Ctrl-C in the terminal reaches only this process, which
        # decides when the command ends.
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
        """The process id of the guard; the command is its only child."""
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """The guard's exit status, which is the command's, None while it runs."""
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
    """Runs in the child before the command, so that it ends even when the guard is killed (Linux only)."""
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
