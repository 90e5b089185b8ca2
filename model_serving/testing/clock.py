"""A clock that a test moves."""

from __future__ import annotations

__all__ = ["FakeClock"]


class FakeClock:
    """A clock that stands still until ``pass_ns`` is called. See ``core.clock.Clock``."""

    def __init__(self, epoch_ms: int = 1_000_000) -> None:
        self._start_ms = epoch_ms
        self._passed_ns = 0

    def pass_ns(self, nanoseconds: int) -> None:
        """Moves the clock forward."""
        self._passed_ns += nanoseconds

    def monotonic_ns(self) -> int:
        """See ``core.clock.Clock``; 0 at the start."""
        return self._passed_ns

    def epoch_ms(self) -> int:
        """See ``core.clock.Clock``."""
        return self._start_ms + self._passed_ns // 1_000_000
