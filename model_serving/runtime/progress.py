"""Shows the progress of the set-up: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TextIO

__all__ = ["BarProgress", "PlainProgress", "Progress", "show_progress"]


class Progress(Protocol):
    """Shows the progress over a known number of items. Any thread may call `advance`."""

    def over(self, what: str, total: int) -> AbstractContextManager[None]:
        """Shows the progress over `total` items while the context is open."""

    def advance(self, name: str) -> None:
        """Shows that the item `name` is done."""


class PlainProgress:
    """Prints a line for each item."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lock = threading.Lock()
        self._what = ""
        self._total = 0
        self._done = 0

    @contextmanager
    def over(self, what: str, total: int) -> Iterator[None]:
        """See Progress."""
        self._what, self._total, self._done = what, total, 0
        yield

    def advance(self, name: str) -> None:
        """See Progress."""
        with self._lock:
            self._done += 1
            print(f"{self._what} {self._done}/{self._total}  {name}", file=self._out, flush=True)


class BarProgress:
    """Shows a bar, drawn by rich."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress

        self._bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[name]}", style="dim"),
        )
        self._task = self._bar.add_task("", visible=False, name="")

    @contextmanager
    def over(self, what: str, total: int) -> Iterator[None]:
        """See Progress."""
        self._bar.reset(self._task, total=total, description=what, visible=True, name="")
        with self._bar:
            yield

    def advance(self, name: str) -> None:
        """See Progress."""
        self._bar.update(self._task, advance=1, name=name)


def show_progress() -> Progress:
    """Returns a bar if standard output is a terminal, else plain lines on it."""
    return BarProgress() if sys.stdout.isatty() else PlainProgress(sys.stdout)
