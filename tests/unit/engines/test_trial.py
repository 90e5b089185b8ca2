"""A model that harms its process in a trial is refused with one line, and harms no other process."""

from __future__ import annotations

import io
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from model_serving.core.engine import RecordSchema
from model_serving.core.errors import ModelRejected, Unavailable
from model_serving.core.messages import ModelToServe, ModelType, OutputRule
from model_serving.engines import engine_for
from model_serving.engines.limits import Limits
from model_serving.engines.trial import engine as trial
from model_serving.engines.trial.engine import TriedEngine, stop_trials
from tests.hostile_models import NATIVE, native_bombs, tensorflow_graph
from tests.patience import patience

TRIAL_S = 20
ENDLESS_S = 3
"""For what never ends: the time that its tests take."""
ADVICE = ": export it again, or raise --trial-timeout-s or --trial-memory-limit if it needs more"


@pytest.fixture(scope="module", autouse=True)
def _stopped() -> Iterator[None]:
    yield
    stop_trials()


def load(kind: str, content: bytes, *, memory: int = 1 << 30, seconds: int = TRIAL_S) -> str:
    """Returns ``loaded``, or the text with which the model is rejected."""
    model_type = ModelType[kind]
    # A trial that never ends is stopped at its limit; every other one has more time on a busy machine.
    limit_s = seconds if seconds == ENDLESS_S else round(patience(seconds))
    engine = TriedEngine(engine_for(model_type), Limits(), limit_s, memory)
    schema = RecordSchema("Sample", ("first_number", "other"))
    model = ModelToServe("sample", "model", model_type, "1", "", content, (), OutputRule.AUTO)
    try:
        engine.load(model, schema).close()
    except ModelRejected as error:
        return str(error)
    return "loaded"


def good() -> bytes:
    return tensorflow_graph(lambda _, total: total * 2.0)


@pytest.mark.parametrize("what", NATIVE)
def test_what_ends_a_process_or_never_ends_is_rejected(what: str) -> None:
    bombs = native_bombs(ENDLESS_S)
    assert tuple(bombs) == NATIVE
    kind, content, says = bombs[what]
    seconds = ENDLESS_S if "without an end" in what else TRIAL_S
    # The library is imported by the first one.
    assert load("TENSORFLOW", good()) == "loaded"
    start = time.monotonic()
    text = load(kind, content, seconds=seconds)
    assert text != "loaded"
    assert says in text
    assert "\n" not in text
    assert time.monotonic() - start < patience(seconds + 60)
    assert load("TENSORFLOW", good()) == "loaded"


def test_memory_is_limited() -> None:
    large = tensorflow_graph(
        # 256 MB of the input, or TensorFlow would work it out while it loads the graph.
        lambda tf, total: total + tf.reduce_sum(tf.fill([2**26], tf.reduce_sum(total)))
    )
    assert load("TENSORFLOW", large) == "loaded"
    assert load("TENSORFLOW", large, memory=128 << 20) != "loaded"


def test_a_rejection_is_the_engines_own() -> None:
    assert load("ONNX", b"junk").startswith("ONNX Runtime cannot load the model: ")


def test_the_process_is_kept_and_started_anew_when_it_is_gone() -> None:
    assert load("TENSORFLOW", good()) == "loaded"
    first = trial._running()
    assert load("TENSORFLOW", good()) == "loaded"
    assert trial._running() is first
    first.kill()
    first.wait()
    assert load("TENSORFLOW", good()) == "loaded"
    second = trial._running()
    assert second is not first
    stop_trials()
    assert second.poll() is not None


def test_it_ends_when_nobody_can_ask_any_more() -> None:
    stop_trials()
    assert load("ONNX", b"junk") != "loaded"
    process = trial._running()
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(30) == 0
    stop_trials()


def test_nothing_is_left_of_a_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    stop_trials()
    kind, content, _ = native_bombs(ENDLESS_S)["a shape that fails a check of TensorFlow"]
    for _ in range(3):
        assert load(kind, content) != "loaded"
    process = psutil.Process(trial._running().pid)
    files = process.num_fds()
    for _ in range(3):
        assert load(kind, content) != "loaded"
    assert process.num_fds() == files
    assert process.children() == []
    assert list(tmp_path.iterdir()) == []


def test_without_an_interpreter_models_cannot_be_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    stop_trials()
    monkeypatch.setattr(trial, "_interpreter", lambda: "/no/such/python")
    with pytest.raises(Unavailable) as unavailable:
        load("TENSORFLOW", good())
    assert str(unavailable.value) == (
        "the model cannot be tried out: '/no/such/python' does not start (No such file or directory); "
        "without trials the job starts with --trial-timeout-s 0"
    )


def test_this_python_is_found_from_inside_of_another_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "")
    found = trial._interpreter()
    assert os.access(found, os.X_OK)
    assert Path(found).name == f"python{sys.version_info[0]}.{sys.version_info[1]}"


def test_pmml_is_not_tried() -> None:
    stop_trials()
    assert load("PMML", io.BytesIO(b"<a/>").read()).startswith("not a PMML document")
    assert trial._process is None
