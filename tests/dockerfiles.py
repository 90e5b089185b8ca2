"""What a Dockerfile says, for tests of all images."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from tests.jobs import ROOT

__all__ = ["copied_files", "is_pinned", "rest_of"]


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


def is_pinned(requirement: str, lock: str) -> bool:
    """Whether a lock file of the project has a version that the requirement takes."""
    wanted = Requirement(requirement)
    pinned = (ROOT / lock).read_text(encoding="utf-8")
    found = re.search(rf"^{re.escape(wanted.name.lower())}==(\S+)", pinned, re.MULTILINE)
    return found is not None and found[1] in wanted.specifier
