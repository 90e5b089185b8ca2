"""Time that a test moves."""

from __future__ import annotations

__all__ = ["FakeClock"]


class FakeClock:
    """Time that stands still until it is told to pass."""

    def __init__(self, epoch_ms: int = 1_000_000) -> None:
        self._start_ms = epoch_ms
        self._passed_ns = 0

    def pass_ns(self, nanoseconds: int) -> None:
        self._passed_ns += nanoseconds

    def monotonic_ns(self) -> int:
        return self._passed_ns

    def epoch_ms(self) -> int:
        return self._start_ms + self._passed_ns // 1_000_000
