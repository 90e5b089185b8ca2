"""The generated code is what the .proto files say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("grpc_tools", reason="grpcio-tools, of the extra 'dev', is not installed")

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    path.relative_to(ROOT)
    for folder in ("protos", "tests/protos")
    for path in (ROOT / folder).glob("*.proto")
)


def generated(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): path.read_text()
        for folder in ("protos", "tests/protos")
        for path in sorted((root / folder).glob("*_pb2.py*"))
    }


def test_the_generated_code_is_current(tmp_path: Path) -> None:
    subprocess.run(
        [
            sys.executable,
            "-m",
            "grpc_tools.protoc",
            "--proto_path=.",
            f"--python_out={tmp_path}",
            f"--pyi_out={tmp_path}",
            *map(str, SOURCES),
        ],
        cwd=ROOT,
        check=True,
        timeout=60,
    )
    fresh = generated(tmp_path)
    assert len(fresh) == 2 * len(SOURCES) == 12
    assert generated(ROOT) == fresh, "run: make proto"
