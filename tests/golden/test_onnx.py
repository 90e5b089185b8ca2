"""ONNX models give, for every sample record, the values of ONNX's own reference evaluator: plain numpy."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from model_serving.core.engine import RecordSchema, Scores
from model_serving.core.messages import ModelToServe, ModelType, OutputRule
from model_serving.engines import engine_for
from model_serving.wire import RecordCodec

DATA = Path(__file__).resolve().parents[2] / "data"
WINE: RecordSchema = RecordCodec("model_serving.protos.winerecord_pb2:WineRecord").schema
ML = "ai.onnx.ml"


@pytest.fixture(scope="module")
def records() -> npt.NDArray[np.float64]:
    """All sample records, n × 11, in the order of the record type's fields."""
    with (DATA / "records.csv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    return np.array([[float(row[name.replace("_", " ")]) for name in WINE.numeric] for row in rows])


def sample() -> bytes:
    return (DATA / "models" / "wine_regression.onnx").read_bytes()


def deep_network() -> bytes:
    """Five layers of 11, 64, 64, 32, 16 and 9 units, softmax at the end."""
    random = np.random.default_rng(5)
    units = (11, 64, 64, 32, 16, 9)
    nodes, constants, last = [], [], "x"
    for layer, (before, after) in enumerate(pairwise(units)):
        weights = random.normal(0, before**-0.5, (before, after)).astype(np.float32)
        constants += [
            numpy_helper.from_array(weights, f"w{layer}"),
            numpy_helper.from_array(random.normal(0, 0.1, after).astype(np.float32), f"b{layer}"),
        ]
        ends = after == units[-1]
        nodes += [
            helper.make_node("Gemm", [last, f"w{layer}", f"b{layer}"], [f"z{layer}"]),
            helper.make_node("Softmax" if ends else "Tanh", [f"z{layer}"], ["y" if ends else f"a{layer}"]),
        ]
        last = f"a{layer}"
    return model_of(nodes, constants, {"y": (TensorProto.FLOAT, ["n", 9])})


def linear_classifier() -> bytes:
    """What scikit-learn's converter writes for a logistic regression: a label and its probabilities."""
    random = np.random.default_rng(6)
    node = helper.make_node(
        "LinearClassifier",
        ["x"],
        ["label", "scores"],
        domain=ML,
        coefficients=random.normal(0, 0.05, 3 * 11).tolist(),
        intercepts=[0.1, 0.0, -0.1],
        classlabels_ints=[3, 5, 8],
        post_transform="SOFTMAX",
    )
    return model_of(
        [node], [], {"label": (TensorProto.INT64, ["n"]), "scores": (TensorProto.FLOAT, ["n", 3])}
    )


def tree_ensemble() -> bytes:
    """Two trees of one split each, on alcohol (field 10) and sulphates (9), summed."""
    node = helper.make_node(
        "TreeEnsembleRegressor",
        ["x"],
        ["y"],
        domain=ML,
        n_targets=1,
        nodes_treeids=[0, 0, 0, 1, 1, 1],
        nodes_nodeids=[0, 1, 2, 0, 1, 2],
        nodes_featureids=[10, 0, 0, 9, 0, 0],
        nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF", "BRANCH_LEQ", "LEAF", "LEAF"],
        nodes_values=[10.5, 0.0, 0.0, 0.62, 0.0, 0.0],
        nodes_truenodeids=[1, 0, 0, 1, 0, 0],
        nodes_falsenodeids=[2, 0, 0, 2, 0, 0],
        target_treeids=[0, 0, 1, 1],
        target_nodeids=[1, 2, 1, 2],
        target_ids=[0, 0, 0, 0],
        target_weights=[5.0, 6.25, -0.5, 0.75],
    )
    return model_of([node], [], {"y": (TensorProto.FLOAT, ["n", 1])})


def model_of(
    nodes: Sequence[NodeProto],
    constants: Sequence[TensorProto],
    outputs: Mapping[str, tuple[int, Sequence[str | int | None]]],
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "golden",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 11])],
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in outputs.items()],
        constants,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(ML, 3)]
    content: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    return content


def reference(content: bytes, records: npt.NDArray[np.float64]) -> list[npt.NDArray[np.float64]]:
    """Every output of the model for every record, as the reference evaluator has it."""
    model = onnx.load_from_string(content)
    (given,) = model.graph.input
    outputs = ReferenceEvaluator(model).run(None, {given.name: records.astype(np.float32)})
    return [np.asarray(output, dtype=np.float64) for output in outputs]


def served(content: bytes, records: npt.NDArray[np.float64], rule: OutputRule) -> Scores:
    model = ModelToServe(
        "wine", "golden", ModelType.ONNX, "1", hashlib.sha256(content).hexdigest(), content, (), rule
    )
    loaded = engine_for(ModelType.ONNX).load(model, WINE)
    try:
        # Many at a time, and one by one: both ways are served.
        whole, single = loaded.score(records), loaded.score(records[:1])
    finally:
        loaded.close()
    assert single.result.tolist() == pytest.approx(whole.result[:1].tolist(), rel=1e-6)
    return whole


@pytest.mark.parametrize(
    ("make", "rule", "expected"),
    [
        (sample, OutputRule.AUTO, lambda outputs: outputs[0][:, 0]),
        (deep_network, OutputRule.ARGMAX, lambda outputs: outputs[0].argmax(axis=1)),
        (linear_classifier, OutputRule.AUTO, lambda outputs: outputs[0]),
        (tree_ensemble, OutputRule.AUTO, lambda outputs: outputs[0][:, 0]),
    ],
)
def test_every_record_has_the_reference_evaluators_value(
    make: Callable[[], bytes],
    rule: OutputRule,
    expected: Callable[[list[npt.NDArray[np.float64]]], npt.NDArray[np.float64]],
    records: npt.NDArray[np.float64],
) -> None:
    content = make()
    truth = expected(reference(content, records))
    assert len(set(truth.tolist())) > 1, "a model that says the same of every record shows nothing"
    np.testing.assert_allclose(served(content, records, rule).result, truth, rtol=1e-5)


def test_probabilities_are_the_reference_evaluators(records: npt.NDArray[np.float64]) -> None:
    content = linear_classifier()
    _, probabilities = reference(content, records)
    outputs = served(content, records, OutputRule.AUTO).outputs
    np.testing.assert_allclose(np.column_stack(list(outputs.values())), probabilities, rtol=1e-4)
