"""The models that are measured: their places, their names, and the messages that offer them."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from bench import model_editions
from bench.errors import BenchError
from bench.large_forest import write_forest
from bench.records import DATA_TYPE
from model_serving.client.model_files import detect
from model_serving.client.model_messages import Content, ModelToPublish, build_message
from model_serving.client.samples import sample_folder
from model_serving.core.messages import ModelType
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.runtime.environment import project_root

__all__ = ["BenchModel", "ModelSet", "build_inputs", "model_set", "models_in", "small_regression"]

_MADE_BY = ("tensor_inputs.py", "large_forest.py")


class ModelSet(Enum):
    """The set of models: the repository's samples, or those in the folder MODEL_SERVING_SEED_DATA."""

    SAMPLE = "sample"
    SEED = "seed"


@dataclass(frozen=True, slots=True)
class BenchModel:
    """A model file or SavedModel folder."""

    key: str
    title: str
    path: Path

    @property
    def kind(self) -> ModelType:
        """The type of the model."""
        return detect(self.path)

    @property
    def preload(self) -> str | None:
        """The argument that makes the JVM peer load it, None when the peer cannot."""
        return None if self.kind is ModelType.ONNX else f"{self.path}:{self.kind.name}"

    def message(self, data_type: str = DATA_TYPE, *, edition: int = 0) -> ModelDescriptor:
        """Returns the message that offers it, with the content inside.

        An ``edition`` above 0 changes the bytes, and so the version, but not the arithmetic.
        """
        offered = ModelToPublish(self.path, self.title, "")
        message = build_message(offered, data_type=data_type, content=Content.DATA)
        if edition:
            message.data = model_editions.edition(self.kind.name, message.data, edition)
            message.sha256 = hashlib.sha256(message.data).hexdigest()
        return message


def model_set(name: str | None) -> ModelSet:
    """Returns the set with this name; without a name the seed models if they are there, else the samples."""
    if name:
        return ModelSet(name)
    return ModelSet.SEED if os.environ.get("MODEL_SERVING_SEED_DATA") else ModelSet.SAMPLE


def models_in(chosen: ModelSet, made: Path) -> dict[str, BenchModel]:
    """Returns every model by its key. ``made`` is the folder of `build_inputs`.

    Raises:
        BenchError: the seed models are wanted but not found.
    """
    samples = sample_folder() / "models"
    if chosen is ModelSet.SEED:
        seed = Path(os.environ.get("MODEL_SERVING_SEED_DATA", ""))
        if not (seed / "golden.json").is_file():
            raise BenchError(
                "no seed models: set MODEL_SERVING_SEED_DATA to their folder, or use --set sample"
            )
        graph, saved = seed / "optimized_WineQuality.pb", seed / "saved" / "1"
        glm = seed / "winequalityGeneralizedLinearRegressionGaussian.pmml"
        forest = seed / "winequalityRandonForrestClassification.pmml"
        tree = seed / "winequalityDecisionTreeClassification.pmml"
    else:
        graph, saved = made / "graph.pb", made / "saved"
        glm, forest = samples / "wine_glm.pmml", samples / "wine_random_forest.pmml"
        tree = samples / "wine_decision_tree.pmml"
    models = (
        BenchModel("graph", "TensorFlow frozen graph", graph),
        BenchModel("saved", "TensorFlow SavedModel", saved),
        BenchModel("glm", "PMML GLM", glm),
        BenchModel("forest", "PMML random forest", forest),
        BenchModel("tree", "PMML decision tree", tree),
        BenchModel("linear", "PMML linear regression", samples / "wine_linear_regression.pmml"),
        BenchModel("perceptron", "PMML perceptron", samples / "wine_perceptron.pmml"),
        BenchModel("onnx", "ONNX perceptron", samples / "wine_regression.onnx"),
        BenchModel("network", "5-layer network, SavedModel", made / "network"),
        BenchModel("network-onnx", "5-layer network, ONNX", made / "network.onnx"),
        BenchModel("table-small", "TensorFlow graph, 10 kB", made / "table-small.pb"),
        BenchModel("table-large", "TensorFlow graph, 20 MB", made / "table-large.pb"),
        BenchModel("forest-large", "PMML forest, 20 MB", made / "forest-large.pmml"),
    )
    return {model.key: model for model in models}


def build_inputs() -> Path:
    """Makes the models that are too large for a repository, unless they exist, and returns their folder.

    Raises:
        BenchError: the models cannot be made.
    """
    folder = project_root() / "build" / "bench-inputs"
    sources = b"".join((Path(__file__).parent / name).read_bytes() for name in _MADE_BY)
    edition = hashlib.sha256(sources).hexdigest()
    stamp = folder / "edition"
    if stamp.is_file() and stamp.read_text() == edition:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    print("making the models of the benchmark (half a minute) ...", flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "bench.tensor_inputs", str(folder)],
        cwd=project_root(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BenchError(f"the models cannot be made: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    write_forest(folder / "forest-large.pmml", trees=12, depth=13, seed=20_240_917)
    stamp.write_text(edition)
    return folder


def small_regression(data_type: str, number: int) -> ModelDescriptor:
    """Returns a PMML regression of a few hundred bytes. Each ``number`` has other coefficients."""
    fields: Sequence[str] = ("alcohol", "pH", "sulphates")
    coefficients = [0.1 + number * 1e-6 * (place + 1) for place in range(len(fields))]
    dictionary = "".join(
        f'<DataField name="{name}" optype="continuous" dataType="double"/>' for name in fields
    )
    mining = "".join(f'<MiningField name="{name}"/>' for name in fields)
    terms = "".join(
        f'<NumericPredictor name="{name}" coefficient="{coefficient!r}"/>'
        for name, coefficient in zip(fields, coefficients, strict=True)
    )
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<PMML version="4.3" xmlns="http://www.dmg.org/PMML-4_3"><Header/>'
        f'<DataDictionary>{dictionary}<DataField name="y" optype="continuous" dataType="double"/>'
        f'</DataDictionary><RegressionModel functionName="regression"><MiningSchema>{mining}'
        f'<MiningField name="y" usageType="target"/></MiningSchema><RegressionTable intercept="1.0">{terms}'
        "</RegressionTable></RegressionModel></PMML>\n"
    )
    return ModelDescriptor(
        name=f"regression {number}",
        dataType=data_type,
        modeltype=ModelDescriptor.PMML,
        data=text.encode(),
    )
