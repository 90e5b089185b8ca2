"""A job that has started: what ends it when it fails, and how it is closed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql.streaming import StreamingQuery

__all__ = ["Started"]


def _nothing() -> None:
    """What a job does that has only queries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The running parts of a job.

    The job has finished when all ``queries`` have ended. It has failed when one of them has failed, or when
    ``check`` raises. ``finishing`` does what is left when the queries have ended by themselves, before
    ``closing``. ``closing`` ends what runs beside the queries, which have ended by then; it is called
    once.
    """

    queries: tuple[StreamingQuery, ...]
    check: Callable[[], None] = _nothing
    finishing: Callable[[], None] = _nothing
    closing: Callable[[], None] = _nothing

    def close(self) -> None:
        """Ends what runs beside the queries."""
        self.closing()
