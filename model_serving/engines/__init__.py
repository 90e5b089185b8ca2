"""The engines, one file a model format. Importing this package loads no model library."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from model_serving.core.errors import ModelRejected
from model_serving.core.messages import ModelType

if TYPE_CHECKING:
    from model_serving.core.engine import Engine

__all__ = ["engine_for"]

_ENGINES = {
    ModelType.TENSORFLOW: ("model_serving.engines.tensorflow.graph", "TensorFlowGraphEngine"),
    ModelType.TENSORFLOWSAVED: ("model_serving.engines.tensorflow.saved", "TensorFlowSavedEngine"),
    ModelType.PMML: ("model_serving.engines.pmml.engine", "PmmlEngine"),
    ModelType.ONNX: ("model_serving.engines.onnx.engine", "OnnxEngine"),
}


def engine_for(model_type: ModelType) -> Engine:
    """The engine that loads models of this kind. Engines have no state: every call may give a new one.

    Raises:
        ModelRejected: there is none for it.
    """
    if model_type not in _ENGINES:
        raise ModelRejected(
            f"models of the kind {model_type.name}, which a model server scores, are not served by this "
            "version: send the model itself"
        )
    module, name = _ENGINES[model_type]
    return cast("Engine", getattr(import_module(module), name)())
