"""The names of this project's environment variables."""

from __future__ import annotations

__all__ = ["PREFIX", "variable"]

PREFIX = "MODEL_SERVING_"


def variable(flag: str) -> str:
    """Returns the environment variable for a flag, which is given with or without its dashes."""
    return PREFIX + flag.removeprefix("--").replace("-", "_").upper()
