"""When a model counts as active: once every instance that serves has taken it over."""

from __future__ import annotations

from collections.abc import Collection

from model_serving.core.channels import AT_ONCE, SwapReport
from model_serving.core.ports import SwapReports
from model_serving.core.state import decode_reporters, encode_reporters

__all__ = ["SwapCount"]


class SwapCount:
    """Reports of single instances → one status, when the last one has reported.

    Whoever reads ACTIVE can rely on it: no record that is sent afterwards is scored by the version before.
    Each instance counts once: in at-least-once mode a report that is in a checkpoint already comes again
    after a recovery. A report of an instance that a restore has taken away does not count.
    """

    def __init__(self, reports: SwapReports, reporters: Collection[str]) -> None:
        """``reporters`` are all who report each swap."""
        self._reports = reports
        self._reporters = frozenset(reporters)

    def report(self, report: SwapReport) -> bytes | None:
        """The status to write, when this was the last report that was missing; None while others are."""
        data_type, sequence = report.data_type, report.sequence
        if sequence == AT_ONCE:
            return report.status
        reporters = decode_reporters(self._reports.get(data_type, sequence)) | {report.reporter}
        if not reporters >= self._reporters:
            self._reports.put(data_type, sequence, encode_reporters(reporters))
            return None
        # Also what is left of earlier ones: reports that came once more after a recovery.
        for done in [number for number in self._reports.sequences(data_type) if number <= sequence]:
            self._reports.remove(data_type, done)
        return report.status
