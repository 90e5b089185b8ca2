"""The generated code is what the .proto files say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("grpc_tools", reason="grpcio-tools, of the extra 'dev', is not installed")

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [path for folder in ("protos", "tests/protos") for path in sorted((ROOT / folder).glob("*.proto"))]


def generated(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): path.read_text()
        for folder in ("model_serving/protos", "tests/protos")
        for path in sorted((root / folder).glob("*_pb2.py*"))
    }


def test_the_generated_code_is_current(tmp_path: Path) -> None:
    (tmp_path / "tests" / "protos").mkdir(parents=True)
    subprocess.run(
        [sys.executable, str(ROOT / "protos" / "generate.py"), str(tmp_path)], check=True, timeout=60
    )
    fresh = generated(tmp_path)
    assert len(fresh) == 2 * len(SOURCES) == 12
    assert generated(ROOT) == fresh, "run: make proto"
