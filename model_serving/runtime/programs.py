"""Small text files that a set-up puts into an environment: programs, and what Python reads at its start."""

from __future__ import annotations

import tempfile
from pathlib import Path

__all__ = ["is_program", "write_program"]


def is_program(path: Path, text: str) -> bool:
    """Whether there is a file with this text that can be read."""
    try:
        return path.read_bytes() == text.encode()
    except OSError:
        return False


def write_program(path: Path, text: str) -> None:
    """Makes an executable file with this text, if it is not there already.

    Other processes find it complete or not at all, because two jobs may start at the same time.

    Raises:
        OSError: the file cannot be written.
    """
    if is_program(path, text):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        file.write(text)
    staged = Path(file.name)
    staged.chmod(0o755)
    staged.replace(path)
