"""The generated code is what the .proto files say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("grpc_tools", reason="grpcio-tools, of the extra 'dev', is not installed")

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [path for folder in ("protos", "tests/protos") for path in sorted((ROOT / folder).glob("*.proto"))]


GENERATE = ROOT / "protos" / "generate.py"


def generate(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, GENERATE, *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def test_the_generated_code_is_current() -> None:
    done = generate("--check")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), "run: make proto"


def test_code_that_is_not_current_is_named(tmp_path: Path) -> None:
    assert generate(tmp_path).returncode == 0
    made = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*_pb2.py*"))
    assert len(made) == 2 * len(SOURCES) == 14
    changed, missing = made[0], made[-1]
    (tmp_path / changed).write_text("stale = True\n")
    (tmp_path / missing).unlink()
    done = generate("--check", tmp_path)
    assert (done.returncode, done.stdout) == (1, f"{changed}\n{missing}\n")
    assert (tmp_path / changed).read_text() == "stale = True\n"
