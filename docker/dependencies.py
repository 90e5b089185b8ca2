"""Prints the requirements in pyproject.toml, one a line: the base, and the extras named as arguments."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

__all__ = ["main"]


def main(extras: list[str]) -> None:
    """Prints each requirement once.

    Raises:
        KeyError: there is no such extra.
    """
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(one for name in extras for one in project["optional-dependencies"][name]),
    ]
    print(*dict.fromkeys(wanted), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
