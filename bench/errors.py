"""The error of the benchmark. Its text is the line that is printed."""

from __future__ import annotations

__all__ = ["BenchError"]


class BenchError(Exception):
    """A measurement could not be made. Its text is one line that says what to do next."""
