"""The errors of the server."""

from __future__ import annotations

__all__ = ["Fenced", "Interrupted", "Overtaken"]


class Interrupted(Exception):
    """Serving was interrupted and can begin again from what is committed; the text says by what."""


class Overtaken(Interrupted):
    """The group has shared its partitions anew while a transaction was being committed, which failed."""


class Fenced(Exception):
    """Another process has taken over this one's name."""
