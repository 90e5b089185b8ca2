"""The counters of the operators, in the metric group ``model_serving``.

Dead letters are counted by reason as well: ``dead_letters`` in the groups ``reason``, one for each reason,
which Prometheus shows as a label.
"""

from __future__ import annotations

from typing import Any

from pyflink.datastream import RuntimeContext

from model_serving.core.channels import Counts
from model_serving.core.messages import Reason

__all__ = ["ServingMetrics"]


class ServingMetrics:
    """The counters of one operator instance."""

    def __init__(self, context: RuntimeContext) -> None:
        group = context.get_metrics_group().add_group("model_serving")
        self._scored = group.counter("records_scored")
        self._dropped = group.counter("records_dropped")
        self._dead_letters = group.counter("records_dead_lettered")
        self._swaps = group.counter("model_swaps")
        self._waiting = group.counter("records_waiting")
        self._by_reason: dict[Reason, Any] = {
            reason: group.add_group("reason", reason.name.lower()).counter("dead_letters")
            for reason in Reason
            if reason is not Reason.UNSPECIFIED
        }

    def add(self, counts: Counts) -> None:
        """Adds the counts of one call to the core. Each count is a call to the JVM, so zeros are skipped."""
        if counts.scored:
            self._scored.inc(counts.scored)
        if counts.dropped:
            self._dropped.inc(counts.dropped)
        if counts.dead_lettered:
            self._dead_letters.inc(counts.dead_lettered)
            for reason, count in (counts.letters or {}).items():
                self._by_reason[reason].inc(count)
        if counts.swaps:
            self._swaps.inc(counts.swaps)
        if counts.waiting:
            self._waiting.inc(counts.waiting)
