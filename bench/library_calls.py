"""How much more an engine takes for one record than the library's own call, measured side by side.

The two calls take turns, so that whatever else the machine does disturbs both alike, and the tenth percentile
of many single calls is taken: on a busy machine a mean measures the other programs.
"""

from __future__ import annotations

import io
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from model_serving.core.engine import Columns, LoadedModel
from model_serving.core.messages import ModelToServe, ModelType
from model_serving.engines.tensors.inputs import TensorInputs

__all__ = ["beside", "library_call", "ratio_to_library"]

_CALLS = 1500
_WARM_UP = 100

Tensors = Mapping[str, Any]
Call = Callable[[], object]


def ratio_to_library(message: ModelToServe, loaded: LoadedModel, record: Columns) -> float | None:
    """Returns how many times as long as the library's own call one record takes; None where there is none."""
    library = library_call(message, getattr(loaded, "inputs", None), record)
    if library is None:
        return None
    ours, alone = beside(partial(loaded.score, record), library)
    return round(ours / alone, 3)


def library_call(message: ModelToServe, inputs: object, record: Columns) -> Call | None:
    """Returns the library's own call for one record, with its tensors ready.

    These are ``InferenceSession.run``, ``Session.run`` of a frozen graph, and the signature of a SavedModel.

    Args:
        message: the message of the model.
        inputs: the ``TensorInputs`` of the loaded model.
        record: one record, shape (1, fields).

    Returns:
        The call. None for PMML, for a model that takes a fixed number of records, and where the library
        has other inputs than the engine.
    """
    make = _CALLS_OF.get(message.model_type)
    if make is None or not isinstance(inputs, TensorInputs) or inputs.batch not in {None, 1}:
        return None
    names = [tensor.name for tensor in inputs.tensors]
    try:
        call = make(message, dict(zip(names, inputs.feeds(record), strict=True)))
        call()
    except Exception:  # noqa: BLE001 - a library raises anything
        return None
    return call


def _onnx(message: ModelToServe, tensors: Tensors) -> Call:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = ort.InferenceSession(message.content, options, providers=["CPUExecutionProvider"])
    return partial(session.run, None, tensors)


def _frozen_graph(message: ModelToServe, tensors: Tensors) -> Call:
    import tensorflow as tf

    definition = tf.compat.v1.GraphDef.FromString(message.content)
    taken = {name.lstrip("^").partition(":")[0] for node in definition.node for name in node.input}
    ends = [node.name for node in definition.node if node.name not in taken and node.op not in _NO_RESULTS]
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(definition, name="")
    session = tf.compat.v1.Session(graph=graph)
    fetches = [f"{name}:0" for name in ends]
    return partial(session.run, fetches, {f"{name}:0": tensor for name, tensor in tensors.items()})


def _saved_model(message: ModelToServe, tensors: Tensors) -> Call:
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(io.BytesIO(message.content)) as archive:
            archive.extractall(folder)
        loaded = tf.saved_model.load(folder)
    names = list(loaded.signatures)
    chosen = message.signature_name or ("serving_default" if "serving_default" in names else names[0])
    # A signature lives as long as the object that was loaded.
    return partial(_call_signature, loaded, loaded.signatures[chosen], tf.constant, tensors)


def _call_signature(_: object, signature: Any, constant: Callable[[Any], Any], tensors: Tensors) -> object:
    return signature(**{name: constant(tensor) for name, tensor in tensors.items()})


_NO_RESULTS = frozenset({"Assert", "Const", "NoOp", "Placeholder"})
_CALLS_OF: Mapping[ModelType, Callable[[ModelToServe, Tensors], Call]] = {
    ModelType.ONNX: _onnx,
    ModelType.TENSORFLOW: _frozen_graph,
    ModelType.TENSORFLOWSAVED: _saved_model,
}


def beside(ours: Call, library: Call) -> tuple[float, float]:
    """Returns microseconds a call of both, ours first."""
    for _ in range(_WARM_UP):
        ours()
        library()
    taken: tuple[list[int], list[int]] = ([], [])
    for _ in range(_CALLS):
        for call, times in zip((ours, library), taken, strict=True):
            begin = time.perf_counter_ns()
            call()
            times.append(time.perf_counter_ns() - begin)
    first, second = (sorted(times)[_CALLS // 10] / 1000 for times in taken)
    return first, second
