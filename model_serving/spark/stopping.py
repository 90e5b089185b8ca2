"""Ends a streaming query after the batch that runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.streaming import StreamingQuery

__all__ = ["end_after_batch"]

_LOOK_S = 0.02


def end_after_batch(session: SparkSession, queries: Sequence[StreamingQuery], *, grace_s: float) -> bool:
    """Ends the queries, each after its running batch; after ``grace_s`` seconds in the middle of it.

    Returns:
        Whether every batch was ended.
    """
    for query in queries:
        _mark_terminated(session, query)
    end = time.monotonic() + grace_s
    while (running := [query for query in queries if query.isActive]) and time.monotonic() < end:
        time.sleep(_LOOK_S)
    for query in running:
        query.stop()
    return not running


def _mark_terminated(session: SparkSession, query: StreamingQuery) -> None:
    """Lets the query's loop find, after its batch, that it has been terminated.

    ``StreamingQuery.stop`` sets the same mark and then interrupts the batch. Spark has no public way to end a
    query without that.
    """
    stream: Any = query._jsq  # noqa: SLF001
    if stream.getClass().getSimpleName() == "StreamingQueryWrapper":
        stream = stream.streamingQuery()
    context: Any = session.sparkContext
    states = context._jvm.java.lang.Class.forName(  # noqa: SLF001
        "org.apache.spark.sql.execution.streaming.runtime.TERMINATED$"
    )
    stream.state().set(states.getField("MODULE$").get(None))
