from __future__ import annotations

import subprocess
import sys

import pytest

from model_serving.core.messages import ModelType
from model_serving.engines import engine_for
from tests.jobs import ROOT

HEAVY = ("tensorflow", "onnxruntime", "py4j", "jpype", "pypmml", "pyflink")


@pytest.mark.parametrize(
    ("model_type", "name"),
    [
        (ModelType.TENSORFLOW, "TensorFlowGraphEngine"),
        (ModelType.TENSORFLOWSAVED, "TensorFlowSavedEngine"),
        (ModelType.PMML, "PmmlEngine"),
        (ModelType.ONNX, "OnnxEngine"),
        (ModelType.TFSERVING, "TfServingEngine"),
        (ModelType.OPENINFERENCE, "OpenInferenceEngine"),
    ],
)
def test_every_kind_of_model_has_its_engine(model_type: ModelType, name: str) -> None:
    assert type(engine_for(model_type)).__name__ == name


def test_no_model_library_is_imported_before_a_model_is_loaded() -> None:
    program = (
        "import sys; from model_serving.engines import engine_for; "
        "from model_serving.core.messages import ModelType; "
        "[engine_for(kind) for kind in ModelType]; "
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_a_large_pmml_model_is_loaded_without_pandas() -> None:
    """Arrow may import it: half a second of processor time, and an error if another thread imports it too."""
    forest = ROOT / "data" / "models" / "wine_random_forest.pmml"
    program = (
        "import sys; from pathlib import Path; "
        "from model_serving.core.engine import RecordSchema; "
        "from model_serving.core.messages import ModelToServe, ModelType; "
        "from model_serving.engines import engine_for; "
        "from model_serving.protos.winerecord_pb2 import WineRecord; "
        "schema = RecordSchema('WineRecord', tuple(field.name for field in WineRecord.DESCRIPTOR.fields)); "
        f"content = Path({str(forest)!r}).read_bytes(); "
        "model = ModelToServe('wine', 'forest', ModelType.PMML, 'v1', '', content); "
        "engine_for(ModelType.PMML).load(model, schema); "
        "print([name for name in ('pyarrow', 'pandas') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "['pyarrow']"
