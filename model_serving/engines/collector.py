"""Pauses Python's cyclic garbage collector during loads that make millions of objects.

A full collection looks at every object of the process at once, and holds the interpreter meanwhile. While
the tree of a large document grows, full collections are due again and again: each one stops serving for a
tenth of a second and finds nothing. Objects that the load drops are still freed by their reference counts.
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

_PARTS = 256
"""The least number of parts in which a tree is freed, if one of its levels has as many elements."""

_lock = threading.Lock()
_pauses = 0
_was_enabled = False


@contextmanager
def collector_paused() -> Iterator[None]:
    """Stops cyclic collection in this process inside the block. Pauses of several threads may overlap."""
    global _pauses, _was_enabled  # noqa: PLW0603 - a process has one collector, too
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
    """Frees a tree part by part. The root is empty afterwards.

    A large tree that is dropped as a whole is freed at once, and no other thread runs meanwhile. To visit
    every element would take five times as long, so the parts are the subtrees of a level with many of them.
    """
    above, parts = [root], list(root)
    while parts and len(parts) < _PARTS:
        above += parts
        parts = [child for part in parts for child in part]
    while parts:
        parts.pop().clear()
    for element in reversed(above):
        element.clear()
