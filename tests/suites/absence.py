"""Tells that a suite has nothing to score."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["tell_absence"]


def tell_absence(kind: str, folder: Path, only: str, variable: str) -> None:
    """Writes one line to standard error.

    Args:
        kind: what the suite scores, such as "model".
        folder: where it was looked for.
        only: what the names were to contain, "" if any name would do.
        variable: the environment variable that names the suite's folder.
    """
    about = f" with '{only}' in its name" if only else ""
    print(
        f"nothing was scored: there is no {kind}{about} in {folder}; name the suite's folder, or set "
        f"{variable} to it",
        file=sys.stderr,
    )
