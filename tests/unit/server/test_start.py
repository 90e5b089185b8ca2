"""A server starts soon: it imports nothing that only other commands, or few of its flags, need."""

from __future__ import annotations

import subprocess
import sys

_NOT_NEEDED = {
    "javaproperties",
    "fastapi",
    "rich",
    "yaml",
    "model_serving.client.commands",
    "model_serving.query.run",
    "tensorflow",
    "onnxruntime",
}


def test_a_server_imports_only_what_it_needs() -> None:
    imports = "import sys, model_serving.client.cli, model_serving.server.run; print(*sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", imports], capture_output=True, text=True, timeout=120, check=True
    )
    assert "model_serving.server.member" in ended.stdout.split()
    assert _NOT_NEEDED & set(ended.stdout.split()) == set()
