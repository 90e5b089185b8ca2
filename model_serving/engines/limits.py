"""Limits on how large a model may become when it is read. The caller sets them and the engines read them.

They are not an argument of ``Engine.load``, because most engines have nothing to limit.
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
    """The greatest sizes, in bytes, of an unpacked SavedModel archive and of a PMML document."""

    unpacked_bytes: int = 2 * 1024**3
    pmml_bytes: int = 64 * 1024**2


def current_limits() -> Limits:
    """Returns the limits that apply in this thread."""
    return _LIMITS.get()


@contextmanager
def within(limits: Limits) -> Iterator[None]:
    """Applies these limits inside the block, in this thread."""
    token = _LIMITS.set(limits)
    try:
        yield
    finally:
        _LIMITS.reset(token)


_LIMITS: ContextVar[Limits] = ContextVar("limits", default=Limits())  # noqa: B039 - frozen
