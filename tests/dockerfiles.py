"""What a Dockerfile says, for tests of all images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["copied_files", "rest_of"]


def rest_of(dockerfile: list[Any], keyword: str) -> list[str]:
    """What follows the keyword, for each instruction with it."""
    return [instruction.rest for instruction in dockerfile if instruction.keyword == keyword]


def copied_files(dockerfile: list[Any]) -> list[Path]:
    """The files and folders that are copied from the build's context by name."""
    return [
        Path(source)
        for rest in rest_of(dockerfile, "COPY")
        if "--from=" not in rest
        for source in rest.split()[:-1]
        if source != "."
    ]
