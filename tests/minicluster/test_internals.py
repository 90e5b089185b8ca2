"""Every private name of PyFlink, Py4J and pemja that ``functions.internals`` uses is there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from model_serving.runtime.environment import flink_environment
from tests.patience import patience

pytestmark = pytest.mark.minicluster

SCRIPT = Path(__file__).with_name("internals.py")


def source_of(package: str, path: str) -> str:
    """The text of a module that can be imported inside of a JVM only."""
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return (Path(spec.origin).parent / path).read_text(encoding="utf-8")


def test_contexts_of_both_modes_have_what_is_asked_of_them() -> None:
    in_thread = source_of("pyflink", "fn_execution/datastream/embedded/runtime_context.py")
    in_process = source_of("pyflink", "fn_execution/datastream/process/runtime_context.py")
    assert "self._runtime_context = " in in_thread
    assert "self._runtime_context = " not in in_process, "process mode has methods of its own"
    assert "self._keyed_state_backend = " in in_thread
    assert "self._keyed_state_backend = " in in_process
    for method in ("index_of_this_subtask", "number_of_parallel_subtasks", "max_number_of_parallel_subtasks"):
        assert f"def get_{method}(" in in_process


def test_states_of_thread_mode_are_those_of_a_java_backend() -> None:
    source = source_of("pyflink", "fn_execution/embedded/state_impl.py")
    assert "self._keyed_state_backend = " in source
    assert "def set_current_key(" not in source, "thread mode would take another path"
    assert "from pemja import findClass" in source_of("pyflink", "fn_execution/embedded/java_utils.py")


def test_what_thread_mode_leaves_out_is_still_there() -> None:
    trial = source_of("pyflink", "fn_execution/__init__.py")
    assert "try:\n    from apache_beam.coders import stream" in trial
    for creates in ("datastream/stream_execution_environment.py", "table/table_environment.py"):
        assert "os.environ.get('_python_worker_execution_mode')" in source_of("pyflink", creates)


def test_names_behind_a_running_job() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT)],
        env=flink_environment(os.environ),
        capture_output=True,
        text=True,
        timeout=patience(120),
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    assert found["stream"].startswith("org.apache.flink.streaming.api.datastream.")
    assert found["changed"] >= 1
    assert found["job"]
    assert found["minicluster"].endswith("MiniCluster")
    assert 3 in found["stop"], "stopWithSavepoint takes a format"
    assert (found["set_current_key"], found["setCurrentKey"]) == (True, True)
