"""The engines, one package for each model format. Importing this package loads no model library."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, cast

from model_serving.core.errors import ModelRejected
from model_serving.core.messages import ModelType

if TYPE_CHECKING:
    from model_serving.core.engine import Engine

__all__ = ["engine_for"]


@dataclass(frozen=True, slots=True)
class _Format:
    """An engine's module and class, the libraries that it needs, and the extra that installs them."""

    module: str
    engine: str
    libraries: tuple[str, ...]
    extra: str


_ENGINES = {
    ModelType.TENSORFLOW: _Format(
        "model_serving.engines.tensorflow.graph", "TensorFlowGraphEngine", ("tensorflow",), "tensorflow"
    ),
    ModelType.TENSORFLOWSAVED: _Format(
        "model_serving.engines.tensorflow.saved", "TensorFlowSavedEngine", ("tensorflow",), "tensorflow"
    ),
    ModelType.PMML: _Format("model_serving.engines.pmml.engine", "PmmlEngine", ("py4j", "pypmml"), "pmml"),
    ModelType.ONNX: _Format("model_serving.engines.onnx.engine", "OnnxEngine", ("onnxruntime",), "onnx"),
}


def engine_for(model_type: ModelType) -> Engine:
    """Returns the engine that loads models of this type. Engines have no state: a call may give a new one.

    Raises:
        ModelRejected: no engine loads this type, or the engine's library is not installed here.
    """
    if model_type not in _ENGINES:
        raise ModelRejected(
            f"models of the kind {model_type.name}, which a model server scores, are not served by this "
            "version: send the model itself"
        )
    wanted = _ENGINES[model_type]
    _require(model_type, wanted)
    return cast("Engine", getattr(import_module(wanted.module), wanted.engine)())


def _require(model_type: ModelType, wanted: _Format) -> None:
    """Looks for the libraries without loading them. Raises ModelRejected when one is missing."""
    missing = [library for library in wanted.libraries if not _is_installed(library)]
    if missing:
        raise ModelRejected(
            f"models of the kind {model_type.name} need the Python package {missing[0]}, which is not "
            f"installed where the job runs: pip install 'flink-model-serving[{wanted.extra}]' there, then "
            "publish the model again"
        )


def _is_installed(library: str) -> bool:
    try:
        return library in sys.modules or find_spec(library) is not None
    except ModuleNotFoundError:
        return False
