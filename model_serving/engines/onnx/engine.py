"""ONNX models, run by ONNX Runtime on one thread.

Fields and inputs are paired as ``tensors.pairing`` says, in the order of the file. What the outputs mean
``tensors.outputs`` says. The classes of a classifier come from the graph: from ZipMap, from the node that
makes the labels, or from the table that they are looked up in (``onnx.graph``).
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from model_serving.core.engine import LoadedModel, ModelDescription, RecordSchema
from model_serving.core.errors import ModelRejected
from model_serving.core.messages import ModelToServe
from model_serving.engines.foreign_errors import rejecting
from model_serving.engines.limits import Limits
from model_serving.engines.onnx.edits import with_neutral_locale, without_zip_maps
from model_serving.engines.onnx.graph import Graph, read_graph
from model_serving.engines.onnx.refusals import (
    EXTERNAL_DATA,
    NOT_ONNX,
    LocaleMissing,
    failed_encoder,
    load_refusal,
)
from model_serving.engines.onnx.running import SessionRun
from model_serving.engines.tensors.categories import row_of_categories
from model_serving.engines.tensors.inputs import TensorInput
from model_serving.engines.tensors.model import make_model
from model_serving.engines.tensors.outputs import TensorOutput, results_among
from model_serving.engines.tensors.pairing import filled_note, plan_inputs

__all__ = ["OnnxEngine"]

_TEXT = "tensor(string)"
_DTYPES = {
    "tensor(float16)": "float16",
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(bool)": "bool",
} | {
    f"tensor({name})": name
    for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
}
_MOST_SHOWN = 300
"""How many characters of a list of outputs a message shows."""

_NO_FOLDER = "/nonexistent"
_QUANTIZING = ("DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM")
_QUANTIZED = "Records are scored one at a time, because the model scales its numbers by the whole batch."


class OnnxEngine:
    """Loads ONNX models. Their size is that of the message or the location, so no limit is left."""

    def __init__(self, limits: Limits) -> None:
        """See ``registry.EngineSpec``."""

    def load(self, model: ModelToServe, schema: RecordSchema) -> LoadedModel:
        """See ``Engine.load``."""
        with rejecting("ONNX Runtime cannot load the model"):
            return self._load(model, schema)

    @staticmethod
    def _load(model: ModelToServe, schema: RecordSchema) -> LoadedModel:
        import onnxruntime

        try:
            graph = read_graph(model.content)
        except ValueError as error:
            raise ModelRejected(NOT_ONNX) from error
        if graph.has_external_data:
            raise ModelRejected(EXTERNAL_DATA)
        session, outputs, notes = _open(model.content, graph)
        results = results_among([output.described for output in outputs], model.result_output)
        inputs = plan_inputs(
            _inputs(session, graph),
            model.inputs,
            schema,
            ordered=True,
            needed=lambda: graph.sources(output.name for output in results),
        )
        if inputs.filled:
            notes.append(filled_note(inputs.filled))
            made = graph.computed_from(inputs.filled)
            outputs = [output for output in outputs if output.described.name not in made]
        if graph.has(*_QUANTIZING) and inputs.batch is None:
            inputs = replace(inputs, batch=1)
            notes.append(_QUANTIZED)
        described = ModelDescription("ONNX", f"ONNX Runtime {onnxruntime.__version__}", notes=tuple(notes))
        return make_model(
            lambda places: SessionRun(
                session,
                [tensor.name for tensor in inputs.tensors],
                [outputs[place].fetched for place in places],
            ),
            inputs,
            [output.described for output in outputs],
            model,
            lambda: None,
            described,
            lambda run: row_of_categories(run, inputs, graph.first_categories(), failed_encoder),
        )


@dataclass(frozen=True, slots=True)
class _Output:
    """An output that can be read: the tensor to fetch, and what it is."""

    fetched: str
    described: TensorOutput


def _open(content: bytes, graph: Graph) -> tuple[Any, list[_Output], list[str]]:
    """Returns the session, the outputs that can be read, and a note for each other one."""
    before = {name: graph.zip_map_of(name) for name in graph.outputs}
    zip_maps = {name: node.inputs[0] for name, node in before.items() if node is not None}
    session = _open_anywhere(without_zip_maps(content, zip_maps) if zip_maps else content)
    nodes = {node.name: node for node in session.get_outputs()}
    varying = graph.computed_from(graph.inputs.difference(graph.initializers))
    outputs, notes = [], []
    for name in graph.outputs:
        node = nodes[zip_maps.get(name, name)]
        if node.type == _TEXT or node.type in _DTYPES:
            outputs.append(_Output(node.name, _output(node, name, graph, varying)))
        else:
            notes.append(f"The output {name} is left out, because it is a {node.type} and not a tensor.")
    if not outputs and graph.outputs:
        kinds = ", ".join(f"{name} ({nodes[zip_maps.get(name, name)].type})" for name in graph.outputs)
        raise ModelRejected(
            f"the model has no output that can be read, only {kinds[:_MOST_SHOWN]}: export it with a tensor "
            "of float32 as output"
        )
    return session, outputs, notes


def _open_anywhere(content: bytes) -> Any:
    try:
        return _open_session(content)
    except LocaleMissing as missing:
        try:
            return _open_session(with_neutral_locale(content))
        except ModelRejected:
            raise missing from None


def _open_session(content: bytes) -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # Without this, weights in other files would be looked for in this process's working directory.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", _NO_FOLDER)
    try:
        # The fallback would try the same provider again and print a message.
        return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"], enable_fallback=0)
    except Exception as error:
        raise load_refusal(error) from error


def _inputs(session: Any, graph: Graph) -> list[TensorInput]:
    """Returns the inputs in the order of the file.

    Beside inputs that take batches a scalar is a setting, such as a dropout rate, and is marked as one. On
    its own it may be the field of a model that works on each number, so it counts as of unknown rank.
    """
    inputs = [_input(node) for node in session.get_inputs()]
    if not any(tensor.shape for tensor in inputs):
        return inputs
    return [replace(tensor, shape=()) if tensor.name in graph.scalars else tensor for tensor in inputs]


def _input(node: Any) -> TensorInput:
    if node.type != _TEXT and node.type not in _DTYPES:
        raise ModelRejected(
            f"the model's input {node.name} is a {node.type}: export it with tensors of float32 or "
            "text as inputs"
        )
    return TensorInput(node.name, None if node.type == _TEXT else np.dtype(_DTYPES[node.type]), _sizes(node))


def _output(node: Any, name: str, graph: Graph, varying: Container[str]) -> TensorOutput:
    is_float = "float" in node.type or "double" in node.type
    zip_map = graph.zip_map_of(name)
    classes = graph.classes_of(name) if zip_map is not None or not is_float else ()
    sizes = _sizes(node)
    columns = len(classes) if zip_map is not None and classes else None
    if sizes is not None and len(sizes) <= 2 and columns is None:
        columns = 1 if len(sizes) == 1 else sizes[1]
    return TensorOutput(
        name, columns, is_float, node.type == _TEXT, classes, name in varying and not graph.repeats(name)
    )


def _sizes(node: Any) -> tuple[int | None, ...] | None:
    """Returns None for an unknown rank, which ONNX Runtime does not distinguish from a scalar."""
    return tuple(size if isinstance(size, int) and size > 0 else None for size in node.shape) or None
