"""The engines, one file a model format. Importing this package loads no model library."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from functions.core.messages import ModelType

if TYPE_CHECKING:
    from functions.core.engine import Engine

__all__ = ["engine_for"]

_ENGINES = {
    ModelType.TENSORFLOW: ("functions.engines.tensorflow_graph", "TensorFlowGraphEngine"),
    ModelType.TENSORFLOWSAVED: ("functions.engines.tensorflow_saved", "TensorFlowSavedEngine"),
    ModelType.PMML: ("functions.engines.pmml", "PmmlEngine"),
    ModelType.ONNX: ("functions.engines.onnx", "OnnxEngine"),
}


def engine_for(model_type: ModelType) -> Engine:
    """The engine that loads models of this kind. Engines have no state: every call may give a new one."""
    module, name = _ENGINES[model_type]
    return cast("Engine", getattr(import_module(module), name)())
