from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from model_serving.core.engine import LoadedModel
from model_serving.core.errors import ModelRejected, ScoringFailed
from model_serving.core.messages import ModelType, OutputRule

if TYPE_CHECKING:
    from pathlib import Path

Load = Callable[..., LoadedModel]
ROWS = np.array([[1.0, 2.0], [3.0, 1.0]])
FLOAT, DOUBLE, WHOLE, TEXT = (
    TensorProto.FLOAT,
    TensorProto.DOUBLE,
    TensorProto.INT64,
    TensorProto.STRING,
)


def value(name: str, *shape: int | str | None, kind: int = FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, list(shape))


def model_of(nodes: Sequence[Any], inputs: Sequence[Any], outputs: Sequence[Any], *constants: Any) -> bytes:
    graph = helper.make_graph(list(nodes), "graph", list(inputs), list(outputs), list(constants))
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    content: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    return content


def weighed(columns: int, kind: int = FLOAT, rows: int | str | None = "n") -> bytes:
    weights = helper.make_tensor("w", kind, [2, columns], list(range(2 * columns)))
    return model_of(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        [value("x", rows, 2, kind=kind)],
        [value("y", rows, columns, kind=kind)],
        weights,
    )


def classifier(labels: Sequence[Any], zip_map: bool) -> bytes:
    text = isinstance(labels[0], str)
    kind = TEXT if text else WHOLE
    nodes = [
        helper.make_node(
            "LinearClassifier",
            ["x"],
            ["label", "scores"],
            domain="ai.onnx.ml",
            coefficients=[1.0, 0.0, 0.0, 1.0, 0.5, 0.5],
            intercepts=[0.0, 0.0, 0.0],
            **cast("Any", {"classlabels_strings" if text else "classlabels_ints": list(labels)}),
        )
    ]
    outputs = [value("label", None, kind=kind)]
    if zip_map:
        keys: Any = {"classlabels_strings" if text else "classlabels_int64s": list(labels)}
        nodes.append(helper.make_node("ZipMap", ["scores"], ["maps"], domain="ai.onnx.ml", **keys))
        of_floats = helper.make_tensor_type_proto(FLOAT, [])
        maps = helper.make_sequence_type_proto(helper.make_map_type_proto(kind, of_floats))
        outputs.append(helper.make_value_info("maps", maps))
    else:
        outputs.append(value("scores", None, 3))
    return model_of(nodes, [value("x", None, 2)], outputs)


@pytest.mark.parametrize("kind", [FLOAT, DOUBLE], ids=["float", "double"])
@pytest.mark.parametrize("rows", ["n", None, 1])
def test_one_column_gives_its_value(load: Load, kind: int, rows: int | str | None) -> None:
    scores = load(ModelType.ONNX, weighed(1, kind, rows)).score(ROWS)
    np.testing.assert_array_equal(scores.result, [2.0, 1.0])
    assert (scores.result.dtype.name, scores.labels, dict(scores.outputs)) == ("float64", None, {})


def test_more_columns_give_the_greatest(load: Load) -> None:
    scores = load(ModelType.ONNX, weighed(3)).score(np.vstack([ROWS, [0.0, 0.0], [math.nan, 1.0]]))
    np.testing.assert_array_equal(scores.result, [2.0, 2.0, 0.0, math.nan])
    assert {name: list(values[:2]) for name, values in scores.outputs.items()} == {
        "y[0]": [6.0, 3.0],
        "y[1]": [9.0, 7.0],
        "y[2]": [12.0, 11.0],
    }


def test_one_tensor_a_field(load: Load) -> None:
    content = model_of(
        [helper.make_node("Add", ["First Number", "OTHER"], ["sum"])],
        [value("OTHER", None, 1), value("First Number", None, 1)],
        [value("sum", None, 1)],
    )
    model = load(ModelType.ONNX, content)
    assert model.fields == ("first_number", "other")
    np.testing.assert_array_equal(model.score(ROWS).result, [3.0, 4.0])


@pytest.mark.parametrize("zip_map", [True, False], ids=["ZipMap", "tensor"])
@pytest.mark.parametrize(
    ("labels", "output", "results"),
    [
        ([3, 5, 8], OutputRule.AUTO, [5.0, 3.0]),
        ([3, 5, 8], OutputRule.VALUE, [5.0, 3.0]),
        ([3, 5, 8], OutputRule.ARGMAX, [1.0, 0.0]),
        (["3", "5", "8"], OutputRule.AUTO, [5.0, 3.0]),
        (["bad", "fair", "good"], OutputRule.AUTO, [1.0, 0.0]),
        (["bad", "fair", "good"], OutputRule.ARGMAX, [1.0, 0.0]),
    ],
)
def test_a_classifier_gives_its_label_or_the_index(
    load: Load, zip_map: bool, labels: Sequence[Any], output: OutputRule, results: list[float]
) -> None:
    scores = load(ModelType.ONNX, classifier(labels, zip_map), output=output).score(ROWS)
    np.testing.assert_array_equal(scores.result, results)
    assert scores.labels == [str(labels[1]), str(labels[0])]
    name = "maps" if zip_map else "scores"
    assert {key: list(values) for key, values in scores.outputs.items()} == {
        f"{name}[0]": [1.0, 3.0],
        f"{name}[1]": [2.0, 1.0],
        f"{name}[2]": [1.5, 2.0],
    }


def external() -> bytes:
    weights = helper.make_tensor("w", FLOAT, [2, 1], np.zeros(2, np.float32).tobytes(), raw=True)
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    entry = weights.external_data.add()
    entry.key, entry.value = "location", "weights.bin"
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    return model_of(nodes, [value("x", None, 2)], [value("y", None, 1)], weights)


def test_weights_in_files_are_refused(load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "weights.bin").write_bytes(np.ones(2, np.float32).tobytes())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelRejected, match=r"^ONNX Runtime cannot load the model: .*External data"):
        load(ModelType.ONNX, external())


@pytest.mark.parametrize(
    ("content", "output", "text"),
    [
        (
            b"<PMML/>",
            OutputRule.AUTO,
            (
                "ONNX Runtime cannot load the model: InvalidProtobuf: [ONNXRuntimeError] : 7 : "
                "INVALID_PROTOBUF : Failed to load model because protobuf parsing failed."
            ),
        ),
        (
            weighed(3),
            OutputRule.VALUE,
            "output VALUE needs one output column, but this model has 3: use AUTO or ARGMAX",
        ),
        (
            classifier(["bad", "fair", "good"], zip_map=True),
            OutputRule.VALUE,
            "output VALUE needs labels that spell numbers, not 'bad': use ARGMAX",
        ),
        (
            weighed(1, rows=5),
            OutputRule.AUTO,
            "the model's input x float32 [5, 2] does not take batches of any size: export it as (n, k)",
        ),
    ],
    ids=["no model", "value of three", "value of text", "fixed batch"],
)
def test_models_that_cannot_serve_are_rejected(
    load: Load, content: bytes, output: OutputRule, text: str
) -> None:
    with pytest.raises(ModelRejected) as caught:
        load(ModelType.ONNX, content, output=output)
    assert str(caught.value) == text


def test_an_error_while_scoring_is_the_batchs(load: Load) -> None:
    content = model_of(
        [helper.make_node("Gather", ["table", "x"], ["y"])],
        [value("x", None, 1, kind=WHOLE)],
        [value("y", None, 1)],
        helper.make_tensor("table", FLOAT, [2], [7.0, 9.0]),
    )
    model = load(ModelType.ONNX, content, inputs=("other",))
    np.testing.assert_array_equal(model.score(np.array([[1.0], [0.0]])).result, [9.0, 7.0])
    with pytest.raises(ScoringFailed, match=r"^ONNX Runtime failed: .*indices element out of data bounds"):
        model.score(np.array([[2.0]]))


def test_the_models_made_here_are_valid() -> None:
    onnx.checker.check_model(onnx.load_model_from_string(classifier([3, 5, 8], zip_map=True)))
