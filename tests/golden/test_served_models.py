"""The sample SavedModel gives the same whether it is loaded here or scored by a model server."""

from __future__ import annotations

import csv
import io
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_serving.core.engine import RecordSchema
from model_serving.core.messages import ModelToServe, ModelType, OutputRule
from model_serving.engines import engine_for
from model_serving.testing.model_server import FakeModelServer, ServedModel
from model_serving.testing.served_model import TensorSpec
from model_serving.wire import RecordCodec

DATA = Path(__file__).resolve().parents[2] / "data"
WINE: RecordSchema = RecordCodec("model_serving.protos.winerecord_pb2:WineRecord").schema


@pytest.fixture(scope="module")
def rows() -> Any:
    with (DATA / "records.csv").open(newline="") as file:
        found = list(csv.DictReader(file, delimiter=";"))
    return np.array([[float(row[name.replace("_", " ")]) for name in WINE.numeric] for row in found])


@pytest.fixture(scope="module")
def server() -> Iterator[FakeModelServer]:
    """TensorFlow scores in the server, as in a real one."""
    # Not at the top: every process of a test run collects this file, and one of them runs it.
    tf = pytest.importorskip("tensorflow", reason="the sample SavedModel needs TensorFlow")
    loaded = tf.saved_model.load(str(DATA / "models" / "saved" / "1"))
    function = loaded.signatures["serving_default"]
    (taken,) = function.structured_input_signature[1].values()
    inputs = {taken.name: TensorSpec(np.dtype(taken.dtype.as_numpy_dtype), (-1, 11))}
    outputs = {
        name: TensorSpec(np.dtype(one.dtype.as_numpy_dtype), tuple(size or -1 for size in one.shape))
        for name, one in function.structured_outputs.items()
    }

    def score(tensors: Any) -> dict[str, Any]:
        answer = function(**{name: tf.constant(value) for name, value in tensors.items()})
        return {name: value.numpy() for name, value in answer.items()}

    with FakeModelServer(ServedModel("wine", inputs, outputs, score)) as started:
        yield started


def packed() -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.add(DATA / "models" / "saved" / "1", arcname=".")
    return content.getvalue()


EMBEDDED = ModelToServe("wine", "wine", ModelType.TENSORFLOWSAVED, "v1", "sha", b"")


@pytest.mark.parametrize("kind", [ModelType.TFSERVING, ModelType.OPENINFERENCE])
@pytest.mark.parametrize("choice", [{}, {"output": OutputRule.ARGMAX}])
def test_a_served_model_gives_what_the_embedded_one_gives(
    server: FakeModelServer, rows: Any, kind: ModelType, choice: dict[str, Any]
) -> None:
    location = server.tfserving("wine") if kind is ModelType.TFSERVING else server.openinference("wine")
    embedded = engine_for(ModelType.TENSORFLOWSAVED).load(replace(EMBEDDED, content=packed(), **choice), WINE)
    served = engine_for(kind).load(
        replace(EMBEDDED, model_type=kind, content=location.encode(), **choice), WINE
    )
    try:
        assert served.fields == embedded.fields == WINE.numeric
        expected, found = embedded.score(rows), served.score(rows)
        assert found.labels == expected.labels
        np.testing.assert_array_equal(found.result, expected.result)
        assert found.outputs.keys() == expected.outputs.keys()
        for name, values in expected.outputs.items():
            # Batches of other lengths may be rounded differently.
            np.testing.assert_allclose(found.outputs[name], values, rtol=1e-5, atol=1e-6)
    finally:
        embedded.close()
        served.close()
