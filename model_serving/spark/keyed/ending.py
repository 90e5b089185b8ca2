"""Ends a bounded query once everything is served."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from model_serving.spark.stopping import end_after_batch

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.streaming import StreamingQuery

__all__ = ["end_when_served", "is_served"]

_LOOK_S = 0.1

_GRACE_S = 60.0
"""How long the next batch may go on, which reads nothing either."""


def end_when_served(session: SparkSession, query: StreamingQuery) -> None:
    """Ends the query after a batch that has read nothing, from a thread of its own.

    A query with timers goes on after the end of its input: each further batch reads nothing and fires the
    timers that are due. Model messages are carried out in the batch that reads them, and records that wait
    are given up in the first batch that reads nothing. So after that batch nothing is left.
    """
    threading.Thread(target=_watch, args=(session, query), name="end-when-served", daemon=True).start()


def is_served(progress: Any) -> bool:
    """Whether the batch of a progress report has read nothing, and is not the one before the first."""
    sources = progress["sources"]
    return bool(sources) and all(
        source["endOffset"] is not None and source["startOffset"] == source["endOffset"] for source in sources
    )


def _watch(session: SparkSession, query: StreamingQuery) -> None:
    while query.isActive:
        progress = query.lastProgress
        if progress is not None and is_served(progress):
            end_after_batch(session, [query], grace_s=_GRACE_S)
            return
        query.awaitTermination(_LOOK_S)
