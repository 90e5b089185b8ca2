"""When a model counts as active: once every operator instance that serves has taken it over."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from pyflink.datastream import KeyedProcessFunction, RuntimeContext

from functions.emitting import as_report
from functions.state import KeyedSwapReports
from model_serving.core.admission.confirmation import SwapCount

__all__ = ["KEYED", "ConfirmSwaps", "broadcast_reporter", "broadcast_reporters"]

KEYED = "keyed"
"""Who reports for the keyed operator: the one instance that has the data type."""


def broadcast_reporter(subtask: int) -> str:
    """Who reports for an instance of the broadcast operator."""
    return f"broadcast {subtask}"


def broadcast_reporters(parallelism: int) -> list[str]:
    """All who report a swap of the broadcast variant: its keyed operator takes every activation too."""
    return [KEYED, *map(broadcast_reporter, range(parallelism))]


class ConfirmSwaps(KeyedProcessFunction):  # type: ignore[misc]
    """(data type, sequence, who, status) from each serving instance → one status, when the last has reported.

    In at-least-once mode a report may come twice, and one that a restore with fewer instances has left
    without its instance is still in state: see ``SwapCount``.
    """

    def __init__(self, reporters: Collection[str]) -> None:
        """``reporters`` are all who report each swap."""
        self._reporters = frozenset(reporters)

    def open(self, runtime_context: RuntimeContext) -> None:
        self._count = SwapCount(KeyedSwapReports(runtime_context), self._reporters)

    def process_element(
        self, value: tuple[str, int, str, bytes], ctx: KeyedProcessFunction.Context
    ) -> Iterator[Any]:
        status = self._count.report(as_report(value))
        if status is not None:
            yield status
