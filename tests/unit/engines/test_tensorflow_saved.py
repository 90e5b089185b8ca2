"""The engine of SavedModels, on models of TensorFlow 1 and 2 that are made here."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from model_serving.core.errors import ModelRejected
from model_serving.core.messages import ModelType
from tests.unit.engines.tensorflow_builders import (
    ROWS,
    Load,
    linear,
    packed,
    saved,
    tf,
    v1,
    variable,
    x,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("signatures", [("predict",), ("other", "serving_default")])
def test_saved_model_of_tensorflow_1(load: Load, tmp_path: Path, signatures: tuple[str, ...]) -> None:
    model = load(ModelType.TENSORFLOWSAVED, saved(tmp_path, linear, *signatures))
    scores = model.score(ROWS)
    np.testing.assert_array_equal(scores.result, [1.0, 1.0])
    assert {name: list(values) for name, values in scores.outputs.items()} == {
        "outputs[0]": [4.0, -2.0],
        "outputs[1]": [7.0, 0.0],
    }


def test_saved_model_of_tensorflow_2(load: Load, tmp_path: Path) -> None:
    module = tf.Module()
    module.weights = tf.Variable([[0.0], [1.0]])

    @tf.function(input_signature=[tf.TensorSpec((None, 2), tf.float32, "numbers")])
    def serve(numbers: Any) -> dict[str, Any]:
        return {"score": tf.matmul(numbers, module.weights)}

    module.serve = serve
    tf.saved_model.save(module, str(tmp_path / "saved"), signatures={"serving_default": serve})
    scores = load(ModelType.TENSORFLOWSAVED, packed(tmp_path / "saved")).score(ROWS)
    np.testing.assert_array_equal(scores.result, [2.0, -1.0])
    assert dict(scores.outputs) == {}


def test_saved_model_of_keras(load: Load, tmp_path: Path) -> None:
    layers = [
        tf.keras.layers.Input((2,), dtype="float32"),
        tf.keras.layers.Dense(3, activation="softmax", kernel_initializer="ones"),
    ]
    model = tf.keras.Sequential(layers)
    model.export(str(tmp_path / "saved"), verbose=False)
    scores = load(ModelType.TENSORFLOWSAVED, packed(tmp_path / "saved")).score(ROWS)
    np.testing.assert_array_equal(scores.result, [0.0, 0.0])
    assert [round(float(values[0]), 6) for values in scores.outputs.values()] == [0.333333] * 3


def by_columns() -> tuple[dict[str, Any], dict[str, Any]]:
    colour, other = x(None, 1, dtype=tf.string, name="c"), x(None, name="o")
    red = tf.cast(tf.equal(tf.squeeze(colour, 1), "red"), tf.float32)
    total = tf.identity(other + 10.0 * red * variable(1.0), "total")
    return (
        {"Colour": colour, "OTHER": other},
        {"predictions": total, "logits": -total, "class_ids": tf.cast(total, tf.int64), "names": colour},
    )


def test_saved_model_with_one_tensor_a_field_and_several_outputs(load: Load, tmp_path: Path) -> None:
    model = load(ModelType.TENSORFLOWSAVED, saved(tmp_path, by_columns))
    assert model.fields == ("colour", "other")
    scores = model.score(np.array([["red", 1.0], ["white", 2.0]], dtype=object))
    np.testing.assert_array_equal(scores.result, [11.0, 2.0])
    assert scores.labels == ["11", "2"]
    assert {name: list(values) for name, values in scores.outputs.items()} == {
        "predictions": [11.0, 2.0],
        "logits": [-11.0, -2.0],
    }


def unclear() -> tuple[dict[str, Any], dict[str, Any]]:
    source = x(None, 2)
    return {"inputs": source}, {"a": source * variable(1.0), "b": -source}


def writes_while_serving() -> tuple[dict[str, Any], dict[str, Any]]:
    source = x(None, 2)
    save = v1.raw_ops.SaveV2(
        prefix="/nonexistent/x", tensor_names=["w"], shape_and_slices=[""], tensors=[variable(1.0)]
    )
    with tf.control_dependencies([save]):
        return {"inputs": source}, {"outputs": tf.identity(source)}


@pytest.mark.parametrize(
    ("build", "signatures", "text"),
    [
        (
            linear,
            ("a", "b"),
            (
                "a SavedModel must have the signature 'serving_default' or only one, "
                "but this one has a, b: set signature_name to one of them"
            ),
        ),
        (
            unclear,
            ("predict",),
            ("the model has the outputs a, b: say in result_output which one gives the result"),
        ),
        (
            writes_while_serving,
            ("predict",),
            (
                "the model's operation 'SaveV2' (SaveV2) would touch files while the model serves: "
                "export the model without it"
            ),
        ),
    ],
)
def test_saved_models_that_cannot_serve_are_rejected(
    load: Load, tmp_path: Path, build: Any, signatures: tuple[str, ...], text: str
) -> None:
    content = saved(tmp_path, build, *signatures)
    with pytest.raises(ModelRejected) as caught:
        load(ModelType.TENSORFLOWSAVED, content)
    assert str(caught.value) == text


def test_no_folder_is_left_by_models_that_load_or_do_not(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = saved(tmp_path, linear)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    load(ModelType.TENSORFLOWSAVED, content)
    with pytest.raises(ModelRejected):
        load(ModelType.TENSORFLOWSAVED, content, inputs=("other",))
    assert list(temporary.iterdir()) == []


def test_a_damaged_checkpoint_is_told_in_one_line(load: Load, tmp_path: Path) -> None:
    saved(tmp_path, linear)
    for path in (tmp_path / "saved" / "variables").glob("variables.data*"):
        path.write_bytes(b"cut")
    with pytest.raises(ModelRejected) as caught:
        load(ModelType.TENSORFLOWSAVED, packed(tmp_path / "saved"))
    assert str(caught.value) == (
        "TensorFlow cannot load the SavedModel: OutOfRangeError: Read less bytes than requested"
    )


def test_the_graph_that_is_checked_is_the_one_that_is_loaded(load: Load, tmp_path: Path) -> None:
    """TensorFlow compares tags as sets and takes the first: a graph with a tag twice must not hide there."""
    saved(tmp_path, linear)
    from tensorflow.core.protobuf import saved_model_pb2

    path = tmp_path / "saved" / "saved_model.pb"
    whole = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    hidden = saved_model_pb2.SavedModel()
    hidden.CopyFrom(whole)
    hidden.meta_graphs[0].meta_info_def.tags[:] = ["serve", "serve"]
    hidden.meta_graphs[0].graph_def.node.add(name="bad", op="ReadFile")
    hidden.meta_graphs.extend(whole.meta_graphs)
    path.write_bytes(hidden.SerializeToString())
    with pytest.raises(ModelRejected, match=r"^a SavedModel must have one graph with the tag 'serve'"):
        load(ModelType.TENSORFLOWSAVED, packed(tmp_path / "saved"))
