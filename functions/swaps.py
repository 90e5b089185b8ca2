"""The operator that confirms a swap once every serving instance has reported it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from pyflink.datastream import KeyedProcessFunction, RuntimeContext

from functions.emitting import as_report
from functions.model_events import tell_statuses
from functions.state import KeyedSwapReports
from model_serving.core.admission.confirmation import SwapCount

__all__ = ["KEYED", "ConfirmSwaps", "broadcast_reporter", "broadcast_reporters"]

KEYED = "keyed"
"""The reporter's name for the keyed operator, where one instance has the data type."""


def broadcast_reporter(subtask: int) -> str:
    """The reporter's name for an instance of the broadcast operator."""
    return f"broadcast {subtask}"


def broadcast_reporters(parallelism: int) -> list[str]:
    """The names of all who report a swap of the broadcast variant, whose keyed operator reports too."""
    return [KEYED, *map(broadcast_reporter, range(parallelism))]


class ConfirmSwaps(KeyedProcessFunction):  # type: ignore[misc]
    """(data type, sequence, reporter, status) from each serving instance → one status, after the last report.

    In at-least-once mode a report may come twice. After a restore with fewer instances, state may hold
    reports of instances that do not exist any more. ``SwapCount`` handles both.
    """

    def __init__(self, reporters: Collection[str]) -> None:
        """``reporters`` are all who report each swap."""
        self._reporters = frozenset(reporters)

    def open(self, runtime_context: RuntimeContext) -> None:
        """Makes the count, over keyed state."""
        self._count = SwapCount(KeyedSwapReports(runtime_context), self._reporters)

    def process_element(
        self, value: tuple[str, int, str, bytes], ctx: KeyedProcessFunction.Context
    ) -> Iterator[Any]:
        """Counts a report, and gives out the status if it was the last one."""
        status = self._count.report(as_report(value))
        if status is not None:
            tell_statuses([status])
            yield status
