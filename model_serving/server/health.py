"""Whether a server lives and serves, for whatever starts and watches it; see the query server's routes."""

from __future__ import annotations

import time

__all__ = ["Health"]

_STUCK_S = 60.0
"""How long one round of the serving loop may take. Loading a model at its first record takes seconds."""


class Health:
    """What the serving loop says about itself."""

    def __init__(self) -> None:
        self._round_s = time.monotonic()
        self._reads = False

    def tick(self, *, reads: bool) -> None:
        """The loop has made a round; ``reads``: it has joined the group and knows the state."""
        self._round_s = time.monotonic()
        self._reads = reads

    def problem(self, path: str) -> str | None:
        """What is wrong, for ``/healthz`` or ``/readyz``; empty if nothing is; None for another path."""
        if path not in {"/healthz", "/readyz"}:
            return None
        silent_s = time.monotonic() - self._round_s
        if silent_s > _STUCK_S:
            return f"the serving loop has not come round for {silent_s:.0f} s"
        if path == "/readyz" and not self._reads:
            return "it does not serve yet"
        return ""
