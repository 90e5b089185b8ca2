"""What writers of engines rely on: the names of ``model_serving``, and the engine of docs/engines.md."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import model_serving
from model_serving import ModelRejected, ModelToServe, RecordSchema
from model_serving.core.messages import ModelType
from model_serving.engines.limits import Limits

PAGE = Path(__file__).resolve().parents[2] / "docs" / "engines.md"
SCHEMA = RecordSchema("Point", ("x", "y_value"))


def test_the_page_of_names_is_pinned() -> None:
    assert model_serving.__all__ == [
        "Columns",
        "Engine",
        "LoadedModel",
        "ModelRejected",
        "ModelToServe",
        "OutputRule",
        "RecordSchema",
        "Scores",
        "ScoringFailed",
        "Unavailable",
    ]
    assert all(hasattr(model_serving, name) for name in model_serving.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'Engines'"):
        _ = model_serving.Engines


def test_a_program_that_starts_no_engine_does_without_numpy() -> None:
    program = (
        "import sys, model_serving.client.cli, model_serving.messaging.groups; print('numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "False\n", done.stderr


@pytest.fixture(scope="module")
def shown() -> dict[str, Any]:
    """What the program of the page defines."""
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    names: dict[str, Any] = {"__name__": "weights_engine"}
    exec(program, names)
    return names


def model(content: bytes) -> ModelToServe:
    return ModelToServe("point", "m", ModelType.ONNX, "1", "", content)


def test_the_engine_of_the_page_scores(shown: dict[str, Any]) -> None:
    loaded = shown["WeightsEngine"](Limits()).load(model(b'{"Y.value": 10, "x": 2}'), SCHEMA)
    assert loaded.fields == ("y_value", "x")
    assert loaded.score(np.array([[1.0, 1.0], [2.0, 0.0]])).result.tolist() == [12.0, 20.0]
    loaded.close()
    assert shown["SPEC"].engine == "weights_engine:WeightsEngine"


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"x": "much"}', b'{"z": 1}'])
def test_the_engine_of_the_page_rejects(shown: dict[str, Any], content: bytes) -> None:
    with pytest.raises(ModelRejected):
        shown["WeightsEngine"](Limits()).load(model(content), SCHEMA)
