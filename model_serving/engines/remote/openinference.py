"""The Open Inference Protocol v2 over HTTP: texts to send, and what the answers say.

Source: https://github.com/kserve/open-inference-protocol, "HTTP/REST", and its table of tensor data types.
"""

from __future__ import annotations

import math
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

__all__ = ["OpenInference"]

_TEXT = "BYTES"
_DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_UNSTATED = TensorInput("input", np.dtype(np.float64), (None, None))
_NO_INPUTS = (
    "The server states no inputs of the model, so it is sent one tensor, FP64 [n, fields]: state the inputs "
    "in the model's settings there."
)
_CHECK = "see what the location answers"


class OpenInference:
    """See ``ServingProtocol``."""

    @property
    def name(self) -> str:
        """See ``ServingProtocol``."""
        return "Open Inference Protocol v2"

    def status_path(self, location: ServedLocation) -> str:
        """See ``ServingProtocol``."""
        return f"{location.path}/ready"

    def why_not_ready(self, answer: Answer) -> str:
        """See ``ServingProtocol``; some servers say it in the body, too."""
        if answer.status != 200:
            return error_in(answer.body) or f"it answers {answer.status}"
        try:
            is_ready = read_json(answer.body).get("ready", True) if answer.body.strip() else True
        except ScoringFailed:
            is_ready = True  # the status counts, and the body is not part of the protocol
        return "" if is_ready is True else "it says that it is not ready"

    def metadata_path(self, location: ServedLocation) -> str:
        """See ``ServingProtocol``."""
        return location.path

    def interface(self, body: bytes, signature_name: str) -> Interface:
        """See ``ServingProtocol``; the protocol has no signatures."""
        if signature_name:
            raise ModelRejected(
                f"signature_name is '{signature_name}', but the Open Inference Protocol has no signatures: "
                "leave it empty"
            )
        with metadata_of("the Open Inference Protocol", _CHECK):
            metadata = read_json(body)
            inputs = tuple(_input(info) for info in metadata.get("inputs") or ())
            outputs = tuple(_output(info) for info in metadata.get("outputs") or ())
        return Interface("", inputs or (_UNSTATED,), outputs, True, () if inputs else (_NO_INPUTS,))

    def scoring_path(self, location: ServedLocation) -> str:
        """See ``ServingProtocol``."""
        return f"{location.path}/infer"

    def request(self, interface: Interface, tensors: Sequence[Tensor]) -> bytes:
        """See ``ServingProtocol``: the values of a tensor are one flat list, row by row.

        The outputs are named, because MLServer gives only some of them if they are not.
        """
        inputs = [
            {
                "name": tensor.name,
                "shape": list(values.shape),
                "datatype": _TEXT if tensor.dtype is None else _NAMES[tensor.dtype],
                "data": values.ravel().tolist(),
            }
            for tensor, values in zip(interface.inputs, tensors, strict=True)
        ]
        outputs = [{"name": output.name} for output in interface.outputs]
        return as_json({"inputs": inputs, "outputs": outputs} if outputs else {"inputs": inputs})

    def outputs(self, interface: Interface, body: bytes, n: int) -> list[Tensor]:
        """See ``ServingProtocol``."""
        found = _given(body)
        missing = [output.name for output in interface.outputs if output.name not in found]
        if missing:
            raise ScoringFailed(f"the model server does not give the output {first_line(missing[0])}")
        return [_tensor(output, found[output.name]) for output in interface.outputs]

    def stated_outputs(self, body: bytes) -> tuple[ServedOutput, ...]:
        """The outputs in an answer, for a model whose metadata do not name them.

        Raises:
            ScoringFailed: the answer is not one of this protocol.
        """
        try:
            return tuple(
                ServedOutput(name, _dtype(info["datatype"]), (None,) * len(info["shape"]))
                for name, info in _given(body).items()
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ScoringFailed(f"the model server's answer has no outputs ({first_line(error)})") from None


def _given(body: bytes) -> dict[str, Mapping[str, Any]]:
    outputs = read_json(body).get("outputs")
    if not isinstance(outputs, list):
        raise ScoringFailed("the model server's answer has no outputs")
    return {str(info.get("name")): info for info in outputs if isinstance(info, dict)}


def _dtype(datatype: object) -> np.dtype[Any] | None:
    if datatype == _TEXT:
        return None
    if not isinstance(datatype, str) or datatype not in _DTYPES:
        raise ValueError(f"the data type {datatype!r:.60} is not one of {', '.join((*_DTYPES, _TEXT))}")
    return _DTYPES[datatype]


def _shape(info: Mapping[str, Any]) -> tuple[int | None, ...]:
    sizes = [int(size) for size in info["shape"]]
    return tuple(None if size < 0 else size for size in sizes)


def _input(info: Mapping[str, Any]) -> TensorInput:
    return TensorInput(str(info["name"]), _dtype(info["datatype"]), _shape(info))


def _output(info: Mapping[str, Any]) -> ServedOutput:
    return ServedOutput(str(info["name"]), _dtype(info["datatype"]), _shape(info))


def _tensor(output: ServedOutput, info: Mapping[str, Any]) -> Tensor:
    what = f"the output {first_line(output.name)}"
    try:
        shape = tuple(int(size) for size in info["shape"])
        dtype = _dtype(info.get("datatype"))
        data = info["data"]
    except (KeyError, TypeError, ValueError) as error:
        raise ScoringFailed(f"the model server gives {what} in no known form ({first_line(error)})") from None
    if (dtype is None) != (output.dtype is None):
        raise ScoringFailed(f"the model server gives {what} as {first_line(info['datatype'])}")
    values = as_texts(data, what) if dtype is None else as_numbers(data, dtype, what)
    if values.size != math.prod(shape) or min(shape, default=0) < 0:
        raise ScoringFailed(f"the model server gives {what} with {values.size} values for the shape {shape}")
    return values.reshape(shape)
