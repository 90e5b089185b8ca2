"""When a model counts as active: once every operator instance that serves has taken it over."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from pyflink.datastream import KeyedProcessFunction, RuntimeContext

from functions.types import SWAP_REPORTS
from model_serving.core.state import decode_reporters, encode_reporters

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

    Whoever reads ACTIVE can rely on it: no record that is sent afterwards is scored by the version before.
    Each instance counts once: in at-least-once mode a report that is in a checkpoint already comes again
    after a recovery. One that a restore with fewer instances has left without its instance does not count.
    """

    def __init__(self, reporters: Collection[str]) -> None:
        """``reporters`` are all who report each swap."""
        self._reporters = frozenset(reporters)

    def open(self, runtime_context: RuntimeContext) -> None:
        self._reports = runtime_context.get_map_state(SWAP_REPORTS)

    def process_element(
        self, value: tuple[str, int, str, bytes], ctx: KeyedProcessFunction.Context
    ) -> Iterator[Any]:
        _, sequence, reporter, status = value
        reporters = decode_reporters(self._reports.get(sequence)) | {reporter}
        if not reporters >= self._reporters:
            self._reports.put(sequence, encode_reporters(reporters))
            return
        # Also what is left of earlier ones: reports that came once more after a recovery.
        for done in [number for number in self._reports.keys() if number <= sequence]:  # noqa: SIM118 - no dict
            self._reports.remove(done)
        yield status
