"""When a model counts as active: once every operator instance that serves has taken it over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyflink.datastream import KeyedProcessFunction, RuntimeContext

from functions.flink_types import PENDING_SWAPS

__all__ = ["ConfirmSwaps"]


class ConfirmSwaps(KeyedProcessFunction):  # type: ignore[misc]
    """(data type, sequence, status) from each serving instance → one status, when the last one has reported.

    Whoever reads ACTIVE can rely on it: no record that is sent afterwards is scored by the version before.
    A checkpoint never parts the reports of one activation: all serving instances take it over on the same
    side of the checkpoint's barrier, so a job that is restored with another parallelism finds nothing half
    counted.
    """

    def __init__(self, instances: int) -> None:
        """``instances`` is how many operator instances report each swap."""
        self._instances = instances

    def open(self, runtime_context: RuntimeContext) -> None:
        self._pending = runtime_context.get_map_state(PENDING_SWAPS)

    def process_element(
        self, value: tuple[str, int, bytes], ctx: KeyedProcessFunction.Context
    ) -> Iterator[Any]:
        _, sequence, status = value
        reported = (self._pending.get(sequence) or 0) + 1
        if reported < self._instances:
            self._pending.put(sequence, reported)
        else:
            self._pending.remove(sequence)
            yield status
