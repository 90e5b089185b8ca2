"""What workers are forked from: it has imported what tasks need, and nothing that a fork could not use."""

from __future__ import annotations

import subprocess
import sys

from model_serving.spark import daemon

_PROGRAM = """
import sys
from importlib import import_module
for name in sys.argv[1:]:
    import_module(name)
print(sorted({"tensorflow", "onnxruntime", "grpc", "py4j"} & set(sys.modules)))
"""


def test_no_library_for_models_is_imported_before_a_fork() -> None:
    ours = [name for name in daemon._AHEAD if name.startswith("model_serving.")]
    assert ours
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *ours], check=True, timeout=60, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]"
