"""Counts reports of a swap; a model counts as active once every serving instance has reported it."""

from __future__ import annotations

from collections.abc import Collection

from model_serving.core.channels import AT_ONCE, SwapReport
from model_serving.core.ports import SwapReports
from model_serving.core.state import decode_reporters, encode_reporters

__all__ = ["SwapCount"]


class SwapCount:
    """Reports of single instances → one status, when the last instance has reported.

    Readers can rely on the status ACTIVE: no record that is sent after it is scored by the version before.
    Each instance counts once, because in at-least-once mode a report that is already in a checkpoint comes
    again after a recovery. A report of an instance that does not exist any more after a restore does not
    count.
    """

    def __init__(self, reports: SwapReports, reporters: Collection[str]) -> None:
        """``reporters`` are all who report each swap."""
        self._reports = reports
        self._reporters = frozenset(reporters)

    def report(self, report: SwapReport) -> bytes | None:
        """The status to write, if this was the last missing report; None while others are missing."""
        data_type, sequence = report.data_type, report.sequence
        if sequence == AT_ONCE:
            return report.status
        reporters = decode_reporters(self._reports.get(data_type, sequence)) | {report.reporter}
        if not reporters >= self._reporters:
            self._reports.put(data_type, sequence, encode_reporters(reporters))
            return None
        # Earlier sequences may be left from reports that came again after a recovery.
        for done in [number for number in self._reports.sequences(data_type) if number <= sequence]:
            self._reports.remove(data_type, done)
        return report.status
