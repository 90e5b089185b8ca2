"""What a served model takes and gives, as a text that is kept with the model in state.

A process that restarts while the model server is down knows the model from these findings, and its records
wait until the server is back. Without them it would have to ask the server before it could serve the model.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from model_serving.engines.remote.interface import Interface, ServedOutput
from model_serving.engines.tensors.inputs import TensorInput
from model_serving.engines.tensors.model import Tried
from model_serving.engines.tensors.outputs import TensorOutput

__all__ = ["findings_of", "read_findings"]

_FORMAT = 1


def findings_of(interface: Interface, tried: Tried) -> str:
    """The findings as a text."""
    return json.dumps(
        {
            "format": _FORMAT,
            "signature": interface.signature,
            "inputs": [_put(one.name, one.dtype, one.shape) for one in interface.inputs],
            "outputs": [_put(one.name, one.dtype, one.shape) for one in interface.outputs],
            "ordered": interface.ordered,
            "notes": interface.notes,
            "read": [
                [one.name, one.columns, one.is_float, one.is_text, one.classes] for one in tried.outputs
            ],
            "places": tried.places,
            "batch": tried.batch,
            "warnings": tried.notes,
            "repeating": [one.name for one in tried.outputs if not one.computed],
        },
        separators=(",", ":"),
    )


def read_findings(text: str) -> tuple[Interface, Tried] | None:
    """The inverse of ``findings_of``; None for findings of another version, and where there are none."""
    if not text:
        return None
    found: dict[str, Any] = json.loads(text)
    if found.get("format") != _FORMAT:
        return None
    interface = Interface(
        found["signature"],
        tuple(TensorInput(*_taken(one)) for one in found["inputs"]),
        tuple(ServedOutput(*_taken(one)) for one in found["outputs"]),
        found["ordered"],
        tuple(found["notes"]),
    )
    outputs = tuple(
        TensorOutput(name, columns, is_float, is_text, tuple(classes), name not in found.get("repeating", ()))
        for name, columns, is_float, is_text, classes in found["read"]
    )
    return interface, Tried(outputs, tuple(found["places"]), found["batch"], tuple(found["warnings"]))


def _put(name: str, dtype: np.dtype[Any] | None, shape: Sequence[int | None] | None) -> list[Any]:
    return [name, None if dtype is None else dtype.name, shape]


def _taken(one: Sequence[Any]) -> tuple[str, np.dtype[Any] | None, tuple[int | None, ...] | None]:
    name, dtype, shape = one
    return name, None if dtype is None else np.dtype(dtype), None if shape is None else tuple(shape)
