"""How environment variables of this project are called."""

from __future__ import annotations

__all__ = ["PREFIX", "variable"]

PREFIX = "MODEL_SERVING_"


def variable(flag: str) -> str:
    """The environment variable that stands in for a flag, with or without its dashes."""
    return PREFIX + flag.removeprefix("--").replace("-", "_").upper()
