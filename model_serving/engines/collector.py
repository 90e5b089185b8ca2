"""Keeps Python's cyclic garbage collector out of loads that make millions of objects.

A full collection looks at every object of the process in one go, with the interpreter to itself. While the
tree of a large document grows, it is due again and again: no record is served for a tenth of a second each
time, and nothing is found. Whatever such a load drops is freed by its reference counts all the same.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["collector_paused", "dismantle"]

_lock = threading.Lock()
_pauses = 0
_was_enabled = False


@contextmanager
def collector_paused() -> Iterator[None]:
    """No cyclic collection in this process meanwhile. Pauses of several threads may overlap."""
    global _pauses, _was_enabled  # noqa: PLW0603 - the collector is one for the process, too
    with _lock:
        if _pauses == 0:
            _was_enabled = gc.isenabled()
            gc.disable()
        _pauses += 1
    try:
        yield
    finally:
        with _lock:
            _pauses -= 1
            if _pauses == 0 and _was_enabled:
                gc.enable()


def dismantle(root: Element) -> None:
    """Frees a tree element by element; it is empty afterwards.

    Dropped as a whole, a large one is freed in one go, which keeps the interpreter from other threads.
    """
    pending = [root]
    while pending:
        element = pending.pop()
        pending.extend(element)
        element.clear()
