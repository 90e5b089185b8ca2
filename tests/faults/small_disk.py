"""A disk of a few megabytes that a test can fill and empty again."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

__all__ = ["SmallDisk", "needs_mounts"]

# The process is root in a namespace of its own, which needs no rights, and only it sees the disk. When the
# rights of a process change, Linux forgets that the process asked to end with its parent.
_UNSHARE = ("unshare", "--map-root-user", "--mount", "sh", "-c")
_MOUNT = 'mount -t tmpfs -o size="$1" none "$2" && shift 2 && exec setpriv --pdeathsig TERM "$@"'
_BLOCK = b"x" * 4096


class SmallDisk:
    """A file system in memory, at ``folder``, for the process that ``command`` starts and its children."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        folder.mkdir()
        self.folder = folder
        self._size = f"{megabytes}m"

    def command(self, command: Sequence[str]) -> tuple[str, ...]:
        """The command with the disk around it."""
        return (*_UNSHARE, _MOUNT, "sh", self._size, str(self.folder), *command)

    def seen_from_here(self, process: int) -> Path:
        """The folder as this process can see it while that process runs; its own folder is empty here."""
        return Path(f"/proc/{process}/root{self.folder}")

    def fill(self, process: int) -> None:
        """Fills the disk."""
        filler = os.open(self.seen_from_here(process) / "filler", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        try:
            while True:
                os.write(filler, _BLOCK)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
        finally:
            os.close(filler)

    def make_room(self, process: int) -> None:
        """Frees the space that `fill` took."""
        (self.seen_from_here(process) / "filler").unlink()


def _refused() -> str:
    """Returns the reason why this disk cannot be made here, empty if it can."""
    if not sys.platform.startswith("linux"):
        return "only Linux has namespaces"
    with tempfile.TemporaryDirectory() as folder:
        disk = SmallDisk(Path(folder) / "disk", 1)
        try:
            tried = subprocess.run(
                disk.command(["true"]), capture_output=True, text=True, timeout=10, check=False
            )
        except (OSError, subprocess.SubprocessError) as error:
            return str(error)
    return tried.stderr.strip() if tried.returncode else ""


_REFUSED = _refused()
needs_mounts = pytest.mark.skipif(
    bool(_REFUSED), reason=f"no disk can be mounted to be filled, which takes user namespaces: {_REFUSED}"
)
