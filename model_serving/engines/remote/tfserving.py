"""TensorFlow Serving's REST API: texts to send, and what the answers say.

Source: https://www.tensorflow.org/tfx/serving/api_rest, "Model status API", "Model Metadata API" and "Predict
API" (row format); the names of types are those of ``tensorflow/core/framework/types.proto``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from model_serving.core.errors import ModelRejected, ScoringFailed
from model_serving.core.model_servers.location import ServedLocation
from model_serving.engines.foreign_errors import first_line
from model_serving.engines.remote.connection import Answer
from model_serving.engines.remote.interface import Interface, ServedOutput, Tensor
from model_serving.engines.remote.values import (
    as_json,
    as_numbers,
    as_texts,
    error_in,
    metadata_of,
    read_json,
)
from model_serving.engines.tensors.inputs import TensorInput

__all__ = ["TfServing"]

_TEXT = "DT_STRING"
_DTYPES: dict[str, np.dtype[Any]] = {
    "DT_FLOAT": np.dtype(np.float32),
    "DT_DOUBLE": np.dtype(np.float64),
    "DT_HALF": np.dtype(np.float16),
    "DT_BFLOAT16": np.dtype(np.float32),  # numpy has no such type; it is made from the next wider one
    "DT_INT8": np.dtype(np.int8),
    "DT_INT16": np.dtype(np.int16),
    "DT_INT32": np.dtype(np.int32),
    "DT_INT64": np.dtype(np.int64),
    "DT_UINT8": np.dtype(np.uint8),
    "DT_UINT16": np.dtype(np.uint16),
    "DT_UINT32": np.dtype(np.uint32),
    "DT_UINT64": np.dtype(np.uint64),
    "DT_BOOL": np.dtype(np.bool_),
}
_USUAL = ("predict", "serving_default")
_INITIALIZER = "__saved_model_init_op"
_MOST_LISTED = 20
_CHECK = "see what the location answers with /metadata"


class TfServing:
    """See ``ServingProtocol``."""

    @property
    def name(self) -> str:
        """See ``ServingProtocol``."""
        return "TensorFlow Serving"

    def status_path(self, location: ServedLocation) -> str:
        """See ``ServingProtocol``."""
        return location.path

    def why_not_ready(self, answer: Answer) -> str:
        """See ``ServingProtocol``; of several versions, one is enough."""
        if answer.status != 200:
            return error_in(answer.body) or f"it answers {answer.status}"
        try:
            versions = read_json(answer.body).get("model_version_status")
        except ScoringFailed as error:
            return str(error)
        states = [
            str(version.get("state"))
            for version in (versions if isinstance(versions, list) else [])
            if isinstance(version, dict)
        ]
        if "AVAILABLE" in states:
            return ""
        return f"its state is {first_line(', '.join(states[:_MOST_LISTED]))}" if states else "it has no state"

    def metadata_path(self, location: ServedLocation) -> str:
        """See ``ServingProtocol``."""
        return f"{location.path}/metadata"

    def interface(self, body: bytes, signature_name: str) -> Interface:
        """See ``ServingProtocol``.

        Without a name, the signature is ``predict`` or ``serving_default``, whichever the model has, or else
        the only one.
        """
        with metadata_of("TensorFlow Serving", _CHECK):
            signatures = read_json(body)["metadata"]["signature_def"]["signature_def"]
            usable = {name: one for name, one in signatures.items() if name != _INITIALIZER}
            name = _chosen(usable, signature_name)
            inputs = tuple(_input(*pair) for pair in sorted(usable[name].get("inputs", {}).items()))
            outputs = sorted(usable[name].get("outputs", {}).items())
            readable = tuple(_output(*pair) for pair in outputs if _is_readable(pair[1]))
        left_out = [first_line(output) for output, info in outputs if not _is_readable(info)]
        note = f"Left out are the outputs that are neither numbers nor text: {', '.join(left_out)}."
        return Interface(name, inputs, readable, len(inputs) == 1, (note,) if left_out else ())

    def scoring_path(self, location: ServedLocation) -> str:
        """See ``ServingProtocol``."""
        return f"{location.path}:predict"

    def request(self, interface: Interface, tensors: Sequence[Tensor]) -> bytes:
        """See ``ServingProtocol``."""
        names = [tensor.name for tensor in interface.inputs]
        if len(names) == 1:
            instances = [{names[0]: value} for value in tensors[0].tolist()]
        else:
            columns = (tensor.tolist() for tensor in tensors)
            instances = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
        return as_json({"signature_name": interface.signature, "instances": instances})

    def outputs(self, interface: Interface, body: bytes, n: int) -> list[Tensor]:
        """See ``ServingProtocol``: one output gives plain values, several give an object for each record."""
        predictions = read_json(body).get("predictions")
        if not isinstance(predictions, list) or len(predictions) != n:
            found = f"{len(predictions)} predictions" if isinstance(predictions, list) else "no predictions"
            raise ScoringFailed(f"the model server gives {found} for {n} records")
        return [_tensor(output, _values(output, predictions)) for output in interface.outputs]


def _chosen(signatures: Mapping[str, Any], wanted: str) -> str:
    listed = ", ".join(first_line(name) for name in sorted(signatures)[:_MOST_LISTED])
    if wanted:
        if wanted not in signatures:
            raise ModelRejected(
                f"the served model has no signature '{wanted}': set signature_name to one of {listed}"
            )
        return wanted
    for name in _USUAL:
        if name in signatures:
            return name
    if len(signatures) == 1:
        return next(iter(signatures))
    raise ModelRejected(
        f"the served model has neither the signature 'predict' nor 'serving_default': set signature_name to "
        f"one of {listed}"
        if signatures
        else "the served model has no signature: export it with one"
    )


def _shape(info: Mapping[str, Any]) -> tuple[int | None, ...] | None:
    shape = info["tensor_shape"]
    if shape.get("unknown_rank"):
        return None
    sizes = [int(dimension["size"]) for dimension in shape.get("dim", [])]
    return tuple(None if size < 0 else size for size in sizes)


def _input(name: str, info: Mapping[str, Any]) -> TensorInput:
    if info["dtype"] != _TEXT and info["dtype"] not in _DTYPES:
        raise ModelRejected(
            f"the served model's input '{first_line(name)}' has the type {first_line(info['dtype'])}, which "
            "is neither a number nor text: export it with floats"
        )
    return TensorInput(name, _DTYPES.get(info["dtype"]), _shape(info))


def _is_readable(info: Mapping[str, Any]) -> bool:
    return info["dtype"] == _TEXT or info["dtype"] in _DTYPES


def _output(name: str, info: Mapping[str, Any]) -> ServedOutput:
    return ServedOutput(name, _DTYPES.get(info["dtype"]), _shape(info))


def _values(output: ServedOutput, predictions: list[Any]) -> list[Any]:
    if not isinstance(predictions[0], dict) or predictions[0].keys() == {"b64"}:
        return predictions
    try:
        return [prediction[output.name] for prediction in predictions]
    except (KeyError, TypeError, IndexError):
        raise ScoringFailed(
            f"the model server gives predictions without the output '{first_line(output.name)}'"
        ) from None


def _tensor(output: ServedOutput, values: list[Any]) -> Tensor:
    what = f"the output {first_line(output.name)}"
    return as_texts(values, what) if output.dtype is None else as_numbers(values, output.dtype, what)
