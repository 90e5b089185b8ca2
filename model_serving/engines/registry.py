"""Which engine serves models of a kind: one spec for each format, and those that other packages bring.

A package adds an engine, or takes a format over, with an entry point of the group ``model_serving.engines``
that names an :class:`EngineSpec`::

    [project.entry-points."model_serving.engines"]
    onnx = "their_package.onnx:SPEC"

Importing this module loads no model library.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import TYPE_CHECKING, cast

from model_serving.core.errors import ModelRejected
from model_serving.core.messages import ModelType
from model_serving.engines.limits import Limits

if TYPE_CHECKING:
    from model_serving.core.engine import Engine

__all__ = ["ENTRY_POINTS", "EngineSpec", "engine_for", "spec_of"]

ENTRY_POINTS = "model_serving.engines"
"""The group of entry points that other packages' engines are found by."""


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """How models of one kind are loaded.

    ``engine`` names the engine's class as ``module:Class``; it is called with the :class:`Limits` that hold.
    ``libraries`` are the packages that it imports, the first one first, and ``extra`` is this project's extra
    that installs them. ``native``: a model can end the process that loads it, so it is first tried in
    another one.
    """

    model_type: ModelType
    engine: str
    libraries: tuple[str, ...] = ()
    extra: str = ""
    native: bool = True


_OURS = (
    EngineSpec(
        ModelType.TENSORFLOW,
        "model_serving.engines.tensorflow.graph:TensorFlowGraphEngine",
        ("tensorflow",),
        "tensorflow",
    ),
    EngineSpec(
        ModelType.TENSORFLOWSAVED,
        "model_serving.engines.tensorflow.saved:TensorFlowSavedEngine",
        ("tensorflow",),
        "tensorflow",
    ),
    EngineSpec(
        ModelType.PMML,
        "model_serving.engines.pmml.engine:PmmlEngine",
        extra="pmml",  # for the few documents that go to Java; the others need no library
        native=False,  # numpy, or a Java process of its own
    ),
    EngineSpec(ModelType.ONNX, "model_serving.engines.onnx.engine:OnnxEngine", ("onnxruntime",), "onnx"),
    EngineSpec(
        ModelType.TFSERVING,
        "model_serving.engines.remote.engine:TfServingEngine",
        native=False,  # the model is in another process already
    ),
    EngineSpec(
        ModelType.OPENINFERENCE, "model_serving.engines.remote.engine:OpenInferenceEngine", native=False
    ),
)


def engine_for(model_type: ModelType, limits: Limits | None = None) -> Engine:
    """The engine that loads models of this kind, within ``limits`` (None: the default ones).

    Engines have no state: every call may give a new one.

    Raises:
        ModelRejected: there is none for this kind, or its library is not installed here.
    """
    spec = spec_of(model_type)
    _require(spec)
    module, _, name = spec.engine.partition(":")
    return cast("Engine", getattr(import_module(module), name)(limits or Limits()))


def spec_of(model_type: ModelType) -> EngineSpec:
    """How models of this kind are loaded.

    Raises:
        ModelRejected: nothing here loads them.
    """
    spec = _specs().get(model_type)
    if spec is None:
        raise ModelRejected(f"models of the kind {model_type.name} are not served by this version")
    return spec


@lru_cache(1)
def _specs() -> Mapping[ModelType, EngineSpec]:
    specs = {spec.model_type: spec for spec in _OURS}
    for point in entry_points(group=ENTRY_POINTS):
        spec = point.load()
        if not isinstance(spec, EngineSpec):
            raise TypeError(f"the entry point {point.name} = {point.value} is not an EngineSpec")
        specs[spec.model_type] = spec
    return specs


def _require(spec: EngineSpec) -> None:
    """Looks the libraries up without loading them. Raises ModelRejected when one is missing."""
    missing = [library for library in spec.libraries if not _is_installed(library)]
    if missing:
        name = f"'flink-model-serving[{spec.extra}]'" if spec.extra else missing[0]
        raise ModelRejected(
            f"models of the kind {spec.model_type.name} need the Python package {missing[0]}, which is not "
            f"installed where the job runs: pip install {name} there, then publish the model again"
        )


def _is_installed(library: str) -> bool:
    try:
        return library in sys.modules or find_spec(library) is not None
    except ModuleNotFoundError:
        return False
