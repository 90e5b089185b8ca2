"""Inputs that are serialized ``tf.train.Example`` messages: models of TFX and of estimators.

Such a model has one input of text, and parses it itself with ``ParseExample``, whose features it states.
A record's fields are fitted to these features as to the inputs of any other model, and each record is
written as a message. The wire format is ``tensorflow/core/example/example.proto`` and ``feature.proto``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from model_serving.core.errors import ModelRejected
from model_serving.core.protobuf_fields import bytes_field, varint
from model_serving.engines.foreign_errors import first_line
from model_serving.engines.tensorflow.origins import Origin, Origins
from model_serving.engines.tensorflow.reach import data_inputs
from model_serving.engines.tensors.inputs import TensorInput

if TYPE_CHECKING:
    from model_serving.core.engine import RecordSchema
    from model_serving.engines.tensors.model import Tensor

__all__ = ["Feature", "features_of", "serialized", "without_defaults"]

_PARSERS = ("ParseExample", "ParseExampleV2")
_FLOAT, _TEXT, _INT64 = 1, 7, 9
"""DT_FLOAT, DT_STRING, DT_INT64 of ``tensorflow/core/framework/types.proto``: what an Example can hold."""

_DTYPES = {_FLOAT: np.dtype(np.float32), _TEXT: None, _INT64: np.dtype(np.int64)}
_MOST_FEATURES = 10_000


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature of the messages: as an input of ``width`` fields, and whether it may be left out."""

    tensor: TensorInput
    has_default: bool


def features_of(origins: Origins, placeholder: str) -> tuple[Feature, ...]:
    """Returns the features that the model parses from the text in a placeholder, empty if it parses none.

    Raises:
        ModelRejected: the model parses it, but does not state the features.
    """
    found: dict[str, Feature] = {}
    for place in origins.nodes():
        if place.node.op not in _PARSERS:
            continue
        parsed = data_inputs(place.node)
        sources = origins.of(parsed[0], place.function) if parsed else []
        if any(_is(source, placeholder) for source in sources):
            for feature in _features(origins, place, parsed):
                found.setdefault(feature.tensor.name, feature)
    return tuple(found.values())


def _is(source: Origin, name: str) -> bool:
    return not source.function and source.node is not None and source.node.name == name


def _features(origins: Origins, place: Origin, inputs: Sequence[str]) -> list[Feature]:
    attributes = place.node.attr
    dense_types, sparse_types = attributes["Tdense"].list.type, attributes["sparse_types"].list.type
    ragged_types: Sequence[int] = ()
    if place.node.op == "ParseExample":
        sparse = [_key(origins, place, name) for name in inputs[2 : 2 + len(sparse_types)]]
        rest = inputs[2 + len(sparse_types) :]
        dense = [_key(origins, place, name) for name in rest[: len(dense_types)]]
        defaults, ragged = rest[len(dense_types) :], []
    else:
        sparse, dense, ragged = (_keys(origins, place, name) for name in inputs[2:5])
        defaults = inputs[5:]
        ragged_types = attributes["ragged_value_types"].list.type
    shapes = [tuple(size.size for size in shape.dim) for shape in attributes["dense_shapes"].list.shape]
    if len(dense) != len(dense_types) or len(shapes) != len(dense) or len(sparse) != len(sparse_types):
        raise _unstated(place)
    found = []
    for index, key in enumerate(dense):
        default = origins.constant(defaults[index], place.function) if index < len(defaults) else None
        has_default = default is not None and default.size > 0
        found.append(Feature(_input(key, dense_types[index], shapes[index]), has_default))
    for keys, types in ((sparse, sparse_types), (ragged, ragged_types)):
        found += [Feature(_input(key, kind, ()), False) for key, kind in zip(keys, types, strict=True)]
    return found


def _input(key: str, kind: int, shape: tuple[int, ...]) -> TensorInput:
    if kind not in _DTYPES:
        raise ModelRejected(f"the model's feature '{first_line(key)}' is of a type that no Example has")
    # A feature of any length gets one value.
    width = math.prod(abs(size) for size in shape)
    return TensorInput(key, _DTYPES[kind], (None,) if width == 1 else (None, width))


def _key(origins: Origins, place: Origin, tensor: str) -> str:
    keys = _keys(origins, place, tensor)
    if len(keys) != 1:
        raise _unstated(place)
    return keys[0]


def _keys(origins: Origins, place: Origin, tensor: str) -> list[str]:
    value = origins.constant(tensor, place.function)
    if value is None or value.size > _MOST_FEATURES:
        raise _unstated(place)
    return [
        key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key)
        for key in value.ravel().tolist()
    ]


def _unstated(place: Origin) -> ModelRejected:
    return ModelRejected(
        f"the model parses tf.train.Example messages ('{first_line(place.node.name)}') and does not state "
        "their features as constants: export it with a signature that takes the features as tensors "
        "(for example tf.estimator.export.build_raw_serving_input_receiver_fn)"
    )


def without_defaults(
    features: Sequence[Feature], schema: RecordSchema, given: Sequence[str]
) -> list[Feature]:
    """Leaves out the features that have a default in the model and that no field is named like."""
    if given and sum(feature.tensor.width or 1 for feature in features) == len(given):
        return list(features)
    return [feature for feature in features if not feature.has_default or _has_field(schema, feature)]


def _has_field(schema: RecordSchema, feature: Feature) -> bool:
    try:
        schema.field_named(feature.tensor.name)
    except ModelRejected:
        return False
    return True


def serialized(tensors: Sequence[TensorInput]) -> Callable[[Sequence[Tensor]], Tensor]:
    """Returns a function that makes n messages, shape (n,), of the features' tensors, each of n rows."""
    writers = [_writer(tensor) for tensor in tensors]

    def write(values: Sequence[Tensor]) -> Tensor:
        columns = [
            write_rows(tensor.reshape(len(tensor), -1))
            for write_rows, tensor in zip(writers, values, strict=True)
        ]
        messages = np.empty(len(values[0]), dtype=object)
        for index, entries in enumerate(zip(*columns, strict=True)):
            messages[index] = bytes_field(1, b"".join(entries))
        return messages

    return write


def _writer(tensor: TensorInput) -> Callable[[Tensor], list[bytes]]:
    """Returns a function that gives the entry of a feature in the map of each message."""
    key = bytes_field(1, tensor.name.encode())
    kind = 1 if tensor.dtype is None else 2 if tensor.dtype.kind == "f" else 3
    # The lists of numbers are packed: all values of a record in one field.
    rows_of = {1: _texts, 2: _floats, 3: _integers}[kind]

    def write(values: Tensor) -> list[bytes]:
        return [bytes_field(1, key + bytes_field(2, bytes_field(kind, row))) for row in rows_of(values)]

    return write


def _texts(values: Tensor) -> list[bytes]:
    return [b"".join(bytes_field(1, _utf8(value)) for value in row) for row in values.tolist()]


def _utf8(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")


def _floats(values: Tensor) -> list[bytes]:
    packed = np.ascontiguousarray(values, dtype="<f4")
    return [bytes_field(1, row.tobytes()) for row in packed]


def _integers(values: Tensor) -> list[bytes]:
    return [bytes_field(1, b"".join(varint(value) for value in row)) for row in values.tolist()]
