"""What a model server answers: TensorFlow Serving's REST API and the Open Inference Protocol v2.

See ``testing.model_server`` for the sources.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from model_serving.testing.served_model import Refused, ServedModel, Tensor, TensorSpec

__all__ = ["answered"]

_V1 = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?(/metadata|:predict)?")
_V2 = re.compile(r"/v2/models/([^/:]+)(?:/versions/([^/:]+))?(/ready|/infer)?")
_TF_NAMES = {
    "float32": "DT_FLOAT",
    "float64": "DT_DOUBLE",
    "float16": "DT_HALF",
    "int32": "DT_INT32",
    "int64": "DT_INT64",
    "uint8": "DT_UINT8",
    "bool": "DT_BOOL",
}
_V2_NAMES = {
    "float32": "FP32",
    "float64": "FP64",
    "float16": "FP16",
    "int32": "INT32",
    "int64": "INT64",
    "uint8": "UINT8",
    "bool": "BOOL",
}


def answered(models: Mapping[str, ServedModel], method: str, path: str, body: bytes) -> bytes:
    """The body of a good answer.

    Raises:
        Refused: the answer is an error.
    """
    if found := _V1.fullmatch(path):
        name, version, label, what = found.groups()
        model = models.get(name)
        if model is None or label or (version and version != model.version):
            asked = f"Specific({name}, {version})" if version else f"Latest({name})"
            unknown = f"Could not find any versions of model {name}"
            raise Refused(404, f"Servable not found for request: {asked}" if what else unknown)
        return _v1(model, method, what, path, body)
    if found := _V2.fullmatch(path):
        name, version, what = found.groups()
        model = models.get(name)
        if model is None or (version and version != model.version):
            raise Refused(404, f"Model {name} not found")
        return _v2(model, method, what, body)
    raise Refused(400 if path.startswith("/v1") else 404, f"Malformed request: {method} {path}")


def _v1(model: ServedModel, method: str, what: str | None, path: str, body: bytes) -> bytes:
    if what is None and method == "GET":
        status = {"error_code": "OK", "error_message": ""}
        one = {"version": model.version, "state": model.state, "status": status}
        return json.dumps({"model_version_status": [one]}, indent=1).encode()
    if what == "/metadata" and method == "GET":
        return json.dumps(_v1_metadata(model), indent=0).encode()
    if what == ":predict" and method == "POST":
        return json.dumps(_predicted(model, body)).encode()
    raise Refused(400, f"Malformed request: {method} {path}")


def _v1_metadata(model: ServedModel) -> dict[str, Any]:
    def tensors(specs: Mapping[str, TensorSpec]) -> dict[str, Any]:
        return {
            name: {
                "dtype": "DT_STRING" if spec.dtype is None else _TF_NAMES[spec.dtype.name],
                "tensor_shape": {
                    "dim": [{"size": str(size), "name": ""} for size in spec.shape],
                    "unknown_rank": False,
                },
                "name": f"{name}:0",
            }
            for name, spec in specs.items()
        }

    signature = {
        "inputs": tensors(model.inputs),
        "outputs": tensors(model.outputs),
        "method_name": "tensorflow/serving/predict",
        "defaults": {},
    }
    return {
        "model_spec": {"name": model.name, "signature_name": "", "version": model.version},
        "metadata": {"signature_def": {"signature_def": dict.fromkeys(sorted(model.signatures), signature)}},
    }


def _predicted(model: ServedModel, body: bytes) -> dict[str, Any]:
    request = _json(body, "JSON Parse error: Invalid value. at offset: 0")
    name = request.get("signature_name", "serving_default")
    if name not in model.signatures:
        raise Refused(400, f'Serving signature name: "{name}" not found in signature def')
    if ("instances" in request) == ("inputs" in request):
        raise Refused(400, "Missing 'inputs' or 'instances' key")
    by_row = "instances" in request
    given = _rows(model, request["instances"]) if by_row else _columns(model, request["inputs"])
    tensors = {key: _tensor(spec, given[key], key) for key, spec in model.inputs.items()}
    outputs = {key: _v1_values(key, value) for key, value in _scored(model, tensors).items()}
    if not by_row:
        return {"outputs": next(iter(outputs.values())) if len(outputs) == 1 else outputs}
    if len(outputs) == 1:
        return {"predictions": next(iter(outputs.values()))}
    return {
        "predictions": [dict(zip(outputs, row, strict=True)) for row in zip(*outputs.values(), strict=True)]
    }


def _rows(model: ServedModel, instances: Any) -> dict[str, list[Any]]:
    if not isinstance(instances, list) or not instances:
        raise Refused(400, "'instances' must be a non-empty list")
    by_name = isinstance(instances[0], dict) and instances[0].keys() != {"b64"}
    if not by_name:
        if len(model.inputs) > 1:
            raise Refused(400, "'instances' must be a list of objects: the model has several inputs")
        return {next(iter(model.inputs)): instances}
    for place, instance in enumerate(instances):
        for name in model.inputs:
            if name not in instance:
                raise Refused(
                    400,
                    f"Failed to process element: {place} of 'instances' list. "
                    f"JSON object: does not have named input: {name}",
                )
    return {name: [instance[name] for instance in instances] for name in model.inputs}


def _columns(model: ServedModel, inputs: Any) -> dict[str, Any]:
    if not isinstance(inputs, dict):
        return {next(iter(model.inputs)): inputs}
    missing = [name for name in model.inputs if name not in inputs]
    if missing:
        raise Refused(400, f"Missing named input: {missing[0]} in 'inputs' object.")
    return inputs


def _v1_values(name: str, value: Tensor) -> Any:
    if value.dtype.kind not in "OSU":
        return value.tolist()
    if name.endswith("_bytes"):
        coded = [{"b64": base64.b64encode(_raw(one)).decode()} for one in value.ravel()]
        return np.array(coded, dtype=object).reshape(value.shape).tolist()
    return np.array([_raw(one).decode() for one in value.ravel()], dtype=object).reshape(value.shape).tolist()


def _raw(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _v2(model: ServedModel, method: str, what: str | None, body: bytes) -> bytes:
    if what == "/ready" and method == "GET":
        if model.state != "AVAILABLE":
            raise Refused(400, f"Model {model.name} is not ready yet.")
        return b""
    if what is None and method == "GET":
        return json.dumps(
            {
                "name": model.name,
                "versions": [model.version],
                "platform": "",
                "inputs": [] if model.hidden else _v2_tensors(model.inputs),
                "outputs": [] if model.hidden else _v2_tensors(model.outputs),
            }
        ).encode()
    if what == "/infer" and method == "POST":
        return json.dumps(_inferred(model, body)).encode()
    raise Refused(405, "Method Not Allowed")


def _v2_tensors(specs: Mapping[str, TensorSpec]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "datatype": "BYTES" if spec.dtype is None else _V2_NAMES[spec.dtype.name],
            "shape": list(spec.shape),
        }
        for name, spec in specs.items()
    ]


def _inferred(model: ServedModel, body: bytes) -> dict[str, Any]:
    request = _json(body, "the request is not JSON")
    given = {one["name"]: one for one in request.get("inputs", [])}
    if model.hidden and len(given) == 1:
        given = {next(iter(model.inputs)): next(iter(given.values()))}
    missing = [name for name in model.inputs if name not in given]
    if missing:
        raise Refused(400, f"the input '{missing[0]}' is missing")
    tensors = {}
    for name, spec in model.inputs.items():
        flat = _tensor(TensorSpec(spec.dtype, (-1,)), given[name]["data"], name).ravel()
        try:
            tensors[name] = flat.reshape(given[name]["shape"])
        except ValueError as error:
            raise Refused(400, f"the input '{name}': {error}") from None
        _check_shape(spec, tensors[name], name)
    outputs = []
    wanted = [one["name"] for one in request.get("outputs", [])] or list(model.outputs)
    for name, value in _scored(model, tensors).items():
        if name not in wanted:
            continue
        is_text = value.dtype.kind in "OSU"
        data = [_raw(one).decode() for one in value.ravel()] if is_text else value.ravel().tolist()
        datatype = "BYTES" if is_text else _V2_NAMES[value.dtype.name]
        outputs.append({"name": name, "shape": list(value.shape), "datatype": datatype, "data": data})
    return {"model_name": model.name, "model_version": model.version, "id": "1", "outputs": outputs}


def _json(body: bytes, error: str) -> dict[str, Any]:
    try:
        request = json.loads(body)
    except ValueError:
        raise Refused(400, error) from None
    if not isinstance(request, dict):
        raise Refused(400, error)
    return request


def _tensor(spec: TensorSpec, values: Any, name: str) -> Tensor:
    try:
        if spec.dtype is None:
            tensor = np.array(values, dtype=object)
        else:
            tensor = np.array(values)
            if tensor.dtype.kind not in "biuf":
                raise ValueError("JSON Value: not a number")
            if spec.dtype.kind in "iu" and tensor.dtype.kind == "f":
                raise ValueError("JSON Value: not formatted correctly for base type: integer")
            tensor = tensor.astype(spec.dtype)
    except (ValueError, OverflowError) as error:
        raise Refused(400, f"the input '{name}': {error}") from None
    _check_shape(spec, tensor, name)
    return tensor


def _check_shape(spec: TensorSpec, tensor: Tensor, name: str) -> None:
    fits = len(tensor.shape) == len(spec.shape) and all(
        size in (-1, found) for size, found in zip(spec.shape, tensor.shape, strict=True)
    )
    if not fits:
        raise Refused(400, f"the input '{name}' has the shape {tensor.shape}, expected {spec.shape}")


def _scored(model: ServedModel, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    try:
        outputs = model.score(tensors)
    except ValueError as error:
        raise Refused(400, str(error)) from None
    return {name: np.asarray(outputs[name]) for name in model.outputs}
