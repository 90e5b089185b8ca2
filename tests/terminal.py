"""A command on a terminal of its own, as a person would use it."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any, Self

from tests.jobs import eventually

__all__ = ["Terminal"]

ROOT = Path(__file__).resolve().parents[1]


class Terminal:
    """Runs ``model-serving`` on a terminal of its own."""

    def __init__(self, arguments: list[str], environ: dict[str, str]) -> None:
        self._master, self._slave = pty.openpty()
        termios.tcsetwinsize(self._slave, (40, 200))
        self.before = self.settings()
        self.rest = b""
        self._process = subprocess.Popen(
            ["setsid", "--ctty", sys.executable, "-m", "model_serving.client.cli", *arguments],
            cwd=ROOT,
            env={**os.environ, **environ, "TERM": "xterm-256color"},
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._master)
        os.close(self._slave)

    def settings(self) -> list[Any]:
        return termios.tcgetattr(self._slave)

    def read_until(self, text: bytes) -> bytes:
        eventually(lambda: text in self._read(), lambda: f"{text!r} is not shown", within_s=30, step_s=0.05)
        end = self.rest.index(text) + len(text)
        shown, self.rest = self.rest[:end], self.rest[end:]
        return shown

    def press(self, key: bytes) -> None:
        os.write(self._master, key)

    def wait(self) -> int:
        def ended() -> bool:
            self._read()
            return self._process.poll() is not None

        eventually(ended, lambda: "the command does not end", within_s=30, step_s=0.05)
        self._read()
        return self._process.returncode

    def _read(self) -> bytes:
        while select.select([self._master], [], [], 0)[0]:
            self.rest += os.read(self._master, 65_536)
        return self.rest
