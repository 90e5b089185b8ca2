"""What the operators count, under the metric group ``model_serving``."""

from __future__ import annotations

from pyflink.datastream import RuntimeContext

__all__ = ["ServingMetrics"]


class ServingMetrics:
    """The counters of one operator instance."""

    def __init__(self, context: RuntimeContext) -> None:
        group = context.get_metrics_group().add_group("model_serving")
        self.scored = group.counter("records_scored")
        self.dropped = group.counter("records_dropped")
        self.dead_letters = group.counter("records_dead_lettered")
        self.swaps = group.counter("model_swaps")
