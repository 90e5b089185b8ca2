"""How large a model may become when it is read. Who loads it sets them, the engines ask for them.

They are no argument of ``Engine.load``: an engine that has nothing to limit need not know of them.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Limits", "current_limits", "within"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes: of all that a SavedModel's archive unpacks to, and of a PMML document."""

    unpacked_bytes: int = 2 * 1024**3
    pmml_bytes: int = 64 * 1024**2


def current_limits() -> Limits:
    """The limits that hold here."""
    return _LIMITS.get()


@contextmanager
def within(limits: Limits) -> Iterator[None]:
    """Inside of the block, and in this thread, these limits hold."""
    token = _LIMITS.set(limits)
    try:
        yield
    finally:
        _LIMITS.reset(token)


_LIMITS: ContextVar[Limits] = ContextVar("limits", default=Limits())  # noqa: B039 - frozen
