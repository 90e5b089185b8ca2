"""What stands before Apache Beam in thread mode fails one import, and then gives way to the real package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import flink_jobs
from tests.patience import patience

FOLDER = Path(flink_jobs.__file__).parent / "thread_mode"


def _run(program: str, *path: Path) -> list[str]:
    """The lines that a program prints with these folders first on its import path."""
    begin = f"import sys, types; sys.path[:0] = {[str(folder) for folder in path]!r}\n"
    # Not this environment's packages: it has Beam.
    command = [sys.executable, "-I", "-S", "-c", begin + program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=patience(30), check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


_TRY = """
try:
    import apache_beam
    print(apache_beam.NAME, apache_beam.__file__)
except ImportError as error:
    print(type(error).__name__, error)
"""
_PYFLINK_IS_THERE = "sys.modules['pyflink.fn_execution.embedded'] = types.ModuleType('embedded')\n"


def _beam(folder: Path) -> Path:
    package = folder / "apache_beam"
    package.mkdir()
    (package / "__init__.py").write_text("from apache_beam.part import NAME\n")
    (package / "part.py").write_text("NAME = 'beam'\n")
    return folder


def test_the_trial_of_pyflink_fails_and_later_imports_do_not(tmp_path: Path) -> None:
    program = f"{_TRY}{_TRY}{_PYFLINK_IS_THERE}{_TRY}from apache_beam import part\nprint(part.NAME)"
    refused = "ImportError PyFlink's thread mode does without Apache Beam"
    found = f"beam {tmp_path / 'apache_beam' / '__init__.py'}"
    assert _run(program, FOLDER, _beam(tmp_path)) == [refused, refused, found, "beam"]


def test_without_beam_a_later_import_says_so() -> None:
    assert _run(_PYFLINK_IS_THERE + _TRY, FOLDER) == ["ModuleNotFoundError No module named 'apache_beam'"]
