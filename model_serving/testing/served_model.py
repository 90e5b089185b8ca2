"""A model that the model server for tests serves."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Refused", "ServedModel", "Tensor", "TensorSpec"]

Tensor = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """An input or output: its type, None for text, and its shape, where -1 is any size."""

    dtype: np.dtype[Any] | None
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model by its name; ``score`` gets and gives the tensors by their names.

    ``score`` may raise ValueError for an input that it does not take. ``state`` is its state in TensorFlow
    Serving's words. ``hidden``: the Open Inference Protocol's metadata do not tell its inputs and outputs.
    """

    name: str
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    score: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]
    version: str = "1"
    signatures: tuple[str, ...] = ("serving_default",)
    state: str = "AVAILABLE"
    hidden: bool = False


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status

    @property
    def body(self) -> bytes:
        """``{"error": "…"}``."""
        return json.dumps({"error": str(self)}).encode()
