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
    imported = _imported_with("model_serving.server.run, model_serving.server.member")
    assert "model_serving.assembly" in imported
    assert _NOT_NEEDED & imported == set()


def test_kafka_is_asked_before_what_scores_is_imported() -> None:
    """Its clients take half a second until they can write, and the imports take as long."""
    imported = _imported_with("model_serving.server.run")
    assert "model_serving.server.opened" in imported
    assert (
        imported & {"model_serving.server.member", "model_serving.assembly", "model_serving.engines"} == set()
    )


def _imported_with(modules: str) -> set[str]:
    """The modules that the start of a server has imported when it has imported these."""
    imports = f"import sys, model_serving.client.cli, {modules}; print(*sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", imports], capture_output=True, text=True, timeout=120, check=True
    )
    return set(ended.stdout.split())
