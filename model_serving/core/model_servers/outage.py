"""What happens to records while the server that scores them is out of reach."""

from __future__ import annotations

from enum import Enum

__all__ = ["OutagePolicy"]


class OutagePolicy(Enum):
    """The values of ``--remote-outage``."""

    WAIT = "wait"
    DEAD_LETTER = "dead-letter"
