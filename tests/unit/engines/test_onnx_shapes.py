"""Batches, windows, types and failures of ONNX models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from model_serving.core.engine import LoadedModel, RecordSchema, description_of
from model_serving.core.errors import ModelRejected, ScoringFailed
from model_serving.core.messages import ModelType
from tests.unit.engines.onnx_builders import FLOAT, TEXT, WHOLE, model_of, value, weighed

Load = Callable[..., LoadedModel]
AXIS = helper.make_tensor("axis", WHOLE, [1], [1])
RECORDS = np.arange(14.0).reshape(7, 2)


def alone(model: LoadedModel, records: Any) -> list[float]:
    return [model.score(records[place : place + 1]).result.item() for place in range(len(records))]


@pytest.mark.parametrize("batch", [1, 2, 3, 32])
def test_a_fixed_batch_is_filled_up(load: Load, batch: int) -> None:
    model = load(ModelType.ONNX, weighed(1, rows=batch))
    expected = RECORDS[:, 1].tolist()
    assert model.score(RECORDS).result.tolist() == expected
    assert alone(model, RECORDS) == expected


def test_labels_and_outputs_of_a_fixed_batch(load: Load) -> None:
    scores = load(ModelType.ONNX, weighed(3, rows=4)).score(RECORDS)
    assert {name: len(values) for name, values in scores.outputs.items()} == {"y[0]": 7, "y[1]": 7, "y[2]": 7}


@pytest.mark.parametrize("shape", [(None, 2, 1), (None, 1, 2), (None, 2, None)])
def test_windows(load: Load, shape: tuple[int | None, ...]) -> None:
    axes = helper.make_tensor("axes", WHOLE, [2], [1, 2])
    content = model_of(
        [helper.make_node("ReduceSum", ["x", "axes"], ["y"], keepdims=0)],
        [value("x", *shape)],
        [value("y", None)],
        axes,
    )
    model = load(ModelType.ONNX, content)
    assert model.score(RECORDS).result.tolist() == RECORDS.sum(axis=1).tolist()


def test_a_scalar_for_a_batch_of_one(load: Load) -> None:
    """PyTorch's squeeze() with a batch of 1."""
    content = model_of(
        [helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)], [value("x", 1, 2)], [value("y")]
    )
    assert load(ModelType.ONNX, content).score(RECORDS).result.tolist() == RECORDS.sum(axis=1).tolist()


def test_one_value_for_a_whole_batch_is_refused(load: Load) -> None:
    content = model_of(
        [helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)], [value("x", None, 2)], [value("y")]
    )
    with pytest.raises(ModelRejected, match="one value for 5 records"):
        load(ModelType.ONNX, content)


def test_a_model_that_only_takes_one_record_is_scored_one_by_one(load: Load) -> None:
    """Traced with a batch of 1, which a Reshape in it keeps, though the input says n."""
    shape = helper.make_tensor("shape", WHOLE, [2], [1, 2])
    content = model_of(
        [
            helper.make_node("Reshape", ["x", "shape"], ["row"]),
            helper.make_node("ReduceSum", ["row", "axis"], ["y"]),
        ],
        [value("x", None, 2)],
        [value("y", None, 1)],
        AXIS,
        shape,
    )
    model = load(ModelType.ONNX, content)
    assert model.score(RECORDS).result.tolist() == RECORDS.sum(axis=1).tolist()
    assert description_of(model).notes == (
        "Records are scored one at a time, because the model only takes one.",
    )


def test_a_model_that_scales_by_its_batch_is_scored_one_by_one(load: Load) -> None:
    """Dynamic quantization takes its scale from all numbers that it is given at a time."""
    content = model_of(
        [
            helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "scale", "zero"]),
            helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["back"]),
            helper.make_node("ReduceSum", ["back", "axis"], ["y"]),
        ],
        [value("x", None, 2)],
        [value("y", None, 1)],
        AXIS,
    )
    model = load(ModelType.ONNX, content)
    records = RECORDS * [1.0, 1000.0]
    assert model.score(records).result.tolist() == alone(model, records)
    assert "scales its numbers by the whole batch" in description_of(model).notes[0]


@pytest.mark.parametrize("kind", ["FLOAT16", "INT8", "INT32", "INT64", "UINT8", "BOOL", "DOUBLE"])
def test_inputs_of_other_types(load: Load, kind: str) -> None:
    content = model_of(
        [
            helper.make_node("Cast", ["x"], ["f"], to=FLOAT),
            helper.make_node("ReduceSum", ["f", "axis"], ["y"]),
        ],
        [value("x", None, 2, kind=TensorProto.DataType.Value(kind))],
        [value("y", None, 1)],
        AXIS,
    )
    records = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    model = load(ModelType.ONNX, content)
    assert model.score(records).result.tolist() == [1.0, 2.0, 0.0]
    assert alone(model, records) == [1.0, 2.0, 0.0]
    if kind not in {"FLOAT16", "DOUBLE"}:
        with pytest.raises(ScoringFailed, match="but a record has another number"):
            model.score(records + 0.5)


def test_several_inputs_of_which_one_is_a_matrix(load: Load) -> None:
    schema = RecordSchema("Place", ("zone", "u", "v"))
    content = model_of(
        [
            helper.make_node("ReduceSum", ["cont", "axis"], ["sum"]),
            helper.make_node("Cast", ["cat"], ["number"], to=FLOAT),
            helper.make_node("Mul", ["sum", "number"], ["y"]),
        ],
        [value("cont", None, 2), value("cat", None, 1, kind=WHOLE)],
        [value("y", None, 1)],
        AXIS,
    )
    model = load(ModelType.ONNX, content, schema=schema, inputs=("u", "v", "zone"))
    assert model.fields == ("u", "v", "zone")
    assert model.score(np.array([[1.0, 2.0, 3.0], [1.0, 1.0, 0.0]])).result.tolist() == [9.0, 0.0]


def test_what_no_record_could_avoid_rejects_the_model(load: Load) -> None:
    """The input leaves its width open, and the weights are for three fields."""
    content = model_of(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        [value("x", None, "k")],
        [value("y", None, 1)],
        helper.make_tensor("w", FLOAT, [3, 1], [1.0, 1.0, 1.0]),
    )
    with pytest.raises(ModelRejected, match=r"^trying the model with zeros: .*MatMul dimension mismatch"):
        load(ModelType.ONNX, content)


def test_what_depends_on_the_record_does_not(load: Load) -> None:
    """Zeros are not among the known categories."""
    content = model_of(
        [
            helper.make_node("Sub", ["x", "one"], ["place"]),
            helper.make_node("Sub", ["place", "one"], ["place2"]),
            helper.make_node("Sub", ["place2", "one"], ["place3"]),
            helper.make_node("Gather", ["table", "place3"], ["y"]),
        ],
        [value("x", None, 1, kind=WHOLE)],
        [value("y", None, 1)],
        helper.make_tensor("one", WHOLE, [1], [1]),
        helper.make_tensor("table", FLOAT, [2], [7.0, 9.0]),
    )
    model = load(ModelType.ONNX, content, inputs=("other",))
    assert model.score(np.array([[3.0], [4.0]])).result.tolist() == [7.0, 9.0]
    with pytest.raises(ScoringFailed, match="indices element out of data bounds"):
        model.score(np.array([[0.0]]))


def test_an_unknown_operator_is_named(load: Load) -> None:
    nodes = [helper.make_node("MyOp", ["x"], ["y"], domain="my.ops")]
    graph = helper.make_graph(nodes, "graph", [value("x", None, 2)], [value("y", None, 1)])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("my.ops", 1)]
    content = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    with pytest.raises(ModelRejected) as caught:
        load(ModelType.ONNX, content)
    assert str(caught.value) == (
        "the model uses the operator my.ops:MyOp, which ONNX Runtime does not have: "
        "export it without custom operators"
    )


def lowering(**attributes: str) -> bytes:
    """A model that says 1 for a text that is "é" in lower case, else 0."""
    return model_of(
        [
            helper.make_node(
                "StringNormalizer", ["colour"], ["small"], case_change_action="LOWER", **attributes
            ),
            helper.make_node(
                "LabelEncoder",
                ["small"],
                ["y"],
                domain="ai.onnx.ml",
                keys_strings=["é"],
                values_floats=[1.0],
                default_float=0.0,
            ),
        ],
        [value("colour", None, kind=TEXT)],
        [value("y", None)],
    )


@pytest.mark.parametrize("attributes", [{}, {"locale": "en_XX.UTF-8"}], ids=["none named", "not installed"])
def test_an_english_locale_need_not_be_installed(load: Load, attributes: dict[str, str]) -> None:
    """TfidfVectorizer in lower case."""
    model = load(ModelType.ONNX, lowering(**attributes))
    records = np.array([["É"], ["é"], ["E"]], dtype=object)
    assert model.score(records).result.tolist() == [1.0, 1.0, 0.0]


def test_another_locale_that_is_missing_is_named(load: Load) -> None:
    with pytest.raises(ModelRejected, match=r"by the rules of a locale .* install it there"):
        load(ModelType.ONNX, lowering(locale="tr_XX.UTF-8"))


def test_inputs_that_are_maps_are_refused(load: Load) -> None:
    """DictVectorizer."""
    maps = helper.make_map_type_proto(TEXT, helper.make_tensor_type_proto(FLOAT, []))
    content = model_of(
        [helper.make_node("DictVectorizer", ["x"], ["y"], domain="ai.onnx.ml", string_vocabulary=["a"])],
        [helper.make_value_info("x", maps)],
        [value("y", None, 1)],
    )
    with pytest.raises(ModelRejected, match=r"^the model's input x is a map\(.*: export it with tensors"):
        load(ModelType.ONNX, content)


def test_an_output_that_is_a_sequence_is_left_out_and_said(load: Load) -> None:
    sequence = helper.make_sequence_type_proto(helper.make_tensor_type_proto(FLOAT, None))
    content = model_of(
        [
            helper.make_node("ReduceSum", ["x", "axis"], ["y"]),
            helper.make_node("SequenceConstruct", ["y"], ["parts"]),
        ],
        [value("x", None, 2)],
        [helper.make_value_info("parts", sequence), value("y", None, 1)],
        AXIS,
    )
    model = load(ModelType.ONNX, content)
    assert model.score(RECORDS).result.tolist() == RECORDS.sum(axis=1).tolist()
    assert description_of(model).notes == (
        "The output parts is left out, because it is a seq(tensor(float)) and not a tensor.",
    )
