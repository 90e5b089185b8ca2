"""Models for the model server for tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from model_serving.core.engine import RecordSchema
from model_serving.core.messages import ModelToServe, ModelType
from model_serving.testing.model_server import FakeModelServer, ServedModel
from model_serving.testing.served_model import TensorSpec

__all__ = ["BOTH", "DOUBLE", "FLOAT", "LONG", "SCHEMA", "SUMS", "TRUTH", "message_of", "sums"]

FLOAT, DOUBLE, LONG, TRUTH = map(np.dtype, (np.float32, np.float64, np.int64, np.bool_))
SCHEMA = RecordSchema("Point", ("x", "y", "z"), ("colour",))
BOTH = pytest.mark.parametrize("kind", [ModelType.TFSERVING, ModelType.OPENINFERENCE])


def sums(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """X + y + z, and its double."""
    total = tensors["inputs"].sum(axis=1)
    return {"outputs": np.stack([total, 2 * total], axis=1)}


SUMS = ServedModel(
    "sums", {"inputs": TensorSpec(FLOAT, (-1, 3))}, {"outputs": TensorSpec(FLOAT, (-1, 2))}, sums
)


def message_of(server: FakeModelServer, kind: ModelType, name: str) -> ModelToServe:
    location = server.tfserving(name) if kind is ModelType.TFSERVING else server.openinference(name)
    return ModelToServe("points", name, kind, "v1", "sha", location.encode())
