"""Tells what a model takes from its content, without a model library and without loading the model.

It is for programs that have no record type yet: ``model-serving try`` makes the fields of its records from
it. What a model really takes, only its engine knows, so nothing is refused here: what cannot be told is left
out.

The field numbers are those of ONNX's ``onnx.proto`` and of TensorFlow's ``graph.proto``,
``attr_value.proto``, ``saved_model.proto``, ``meta_graph.proto`` and ``tensor_shape.proto``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from model_serving.core.errors import ModelRejected
from model_serving.core.messages import ModelType
from model_serving.core.protobuf_fields import read_varint
from model_serving.engines.content.protobuf import walk
from model_serving.engines.limits import Limits
from model_serving.engines.pmml.xml_tree import read_xml
from model_serving.engines.tensorflow.archive import unpacked

__all__ = ["ModelInput", "told_inputs"]

_ONNX_TEXT, _TENSORFLOW_TEXT = 8, 7
_SERVE, _DEFAULT, _INITIALIZER = b"serve", "serving_default", "__saved_model_init_op"
_PMML_NUMBERS = frozenset({"integer", "float", "double", "boolean"})
_PMML_NO_MODELS = frozenset(
    {"Header", "MiningBuildTask", "DataDictionary", "TransformationDictionary", "Extension"}
)


@dataclass(frozen=True, slots=True)
class ModelInput:
    """An input of a model. ``width`` is how many fields of a record it takes; None: that cannot be told."""

    name: str
    is_text: bool
    width: int | None = 1


def told_inputs(
    model_type: ModelType, content: bytes, limits: Limits, signature_name: str = ""
) -> tuple[ModelInput, ...]:
    """Returns the inputs of a model in the order of its content; none if they cannot be told.

    ``signature_name`` chooses a signature of a SavedModel; empty: the one that is served by default.
    """
    # Content may be anything; what is wrong with it is said by the engine, which refuses it.
    with suppress(ModelRejected, ValueError, LookupError, OSError):
        if model_type is ModelType.PMML:
            return tuple(_of_pmml(content, limits))
        if model_type is ModelType.ONNX:
            return tuple(_of_onnx(memoryview(content)))
        if model_type is ModelType.TENSORFLOW:
            return tuple(_of_graph(memoryview(content)))
        if model_type is ModelType.TENSORFLOWSAVED:
            with unpacked(content, limits.unpacked_bytes) as folder:
                saved = (folder / "saved_model.pb").read_bytes()
            return tuple(_of_saved_model(memoryview(saved), signature_name))
    return ()


def _of_pmml(content: bytes, limits: Limits) -> Iterator[ModelInput]:
    """PMML 4.4, MiningSchema: the active fields of the first model, with the types of the DataDictionary."""
    with read_xml(content, limits.pmml_bytes) as document:
        root = document.root
        types = {
            field.get("name", ""): field.get("dataType", "")
            for field in root.iterfind("DataDictionary/DataField")
        }
        model = [child for child in root if child.tag not in _PMML_NO_MODELS][0]  # noqa: RUF015 - LookupError
        for field in model.iterfind("MiningSchema/MiningField"):
            name = field.get("name", "")
            if field.get("usageType", "active") == "active" and name in types:
                yield ModelInput(name, types[name] not in _PMML_NUMBERS)


def _of_onnx(content: memoryview) -> Iterator[ModelInput]:
    """``ModelProto.graph`` (7): its inputs (11) that are not also initializers (5)."""
    graph = _one(content, 7)
    weights = {_text(tensor, 8) for tensor in _all(graph, 5)}
    for node in _all(graph, 11):
        name, tensor = _text(node, 1), _one(node, 2, 1)
        sizes: list[int | None] | None = None
        for shape in _all(tensor, 2):
            sizes = [_number(dimension, 1) for dimension in _all(shape, 1)]
        if name not in weights:
            yield ModelInput(name, _number(tensor, 1) == _ONNX_TEXT, _width(sizes))


def _of_graph(content: memoryview) -> Iterator[ModelInput]:
    """``GraphDef.node`` (1): the placeholders, with their attributes (5) ``dtype`` and ``shape``."""
    for node in _all(content, 1):
        if _text(node, 2) == "Placeholder":
            attributes = {_text(entry, 1): _one(entry, 2) for entry in _all(node, 5)}
            shape = attributes.get("shape")
            yield ModelInput(
                _text(node, 1),
                _number(attributes["dtype"], 6) == _TENSORFLOW_TEXT,
                None if shape is None else _width(_sizes(_one(shape, 7))),
            )


def _of_saved_model(content: memoryview, signature_name: str) -> Iterator[ModelInput]:
    """``SavedModel.meta_graphs`` (2) with the tag ``serve``: the inputs of the signature that is served."""
    graphs = list(_all(content, 2))
    served = [graph for graph in graphs if _SERVE in [bytes(tag) for tag in _all(_one(graph, 1), 4)]]
    signatures = {_text(entry, 1): _one(entry, 2) for entry in _all((served or graphs)[0], 5)}
    signatures.pop(_INITIALIZER, None)
    name = signature_name or (_DEFAULT if _DEFAULT in signatures else min(signatures))
    for entry in _all(signatures[name], 1):
        info = _one(entry, 2)
        shape = _all(info, 3)
        yield ModelInput(
            _text(entry, 1), _number(info, 2) == _TENSORFLOW_TEXT, _width(_sizes(shape[0])) if shape else None
        )


def _sizes(shape: memoryview) -> list[int | None] | None:
    """``TensorShapeProto``: the sizes of ``dim`` (2), None for -1; None when the rank is unknown (3)."""
    if _number(shape, 3):
        return None
    sizes = [_number(dimension, 1) or 0 for dimension in _all(shape, 2)]
    return [size if size < 1 << 63 else None for size in sizes]


def _width(sizes: Sequence[int | None] | None) -> int | None:
    """How many fields a tensor of this shape takes for each record; the first dimension is the batch."""
    if sizes is None:
        return None
    width = 1
    for size in sizes[1:]:
        if not size:
            return None
        width *= size
    return width


def _all(message: memoryview, number: int) -> list[memoryview]:
    return [value for field, _, value in walk(message) if field == number]


def _one(message: memoryview, *path: int) -> memoryview:
    """The message at the end of a path of fields, the last one where a field is there several times.

    Raises:
        LookupError: a field is missing.
    """
    for number in path:
        message = _all(message, number)[-1]
    return message


def _text(message: memoryview, number: int) -> str:
    found = _all(message, number)
    return bytes(found[-1]).decode("utf-8") if found else ""


def _number(message: memoryview, number: int) -> int | None:
    found = _all(message, number)
    return read_varint(found[-1])[0] if found else None
