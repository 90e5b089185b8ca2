"""SavedModels as Keras 2, Keras 3 and TensorFlow 2 modules write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from model_serving.core.engine import RecordSchema, description_of
from model_serving.core.errors import ModelRejected
from model_serving.core.messages import ModelType
from tests.unit.engines.tensorflow_builders import ROWS, Load, packed, saved_function, tf

if TYPE_CHECKING:
    from collections.abc import Callable

FIXTURES = Path(__file__).parents[2] / "fixtures" / "tensorflow"
NUMBERS = tf.TensorSpec((None, 2), tf.float32, "x")


@pytest.mark.parametrize("name", sorted(path.stem for path in FIXTURES.glob("*.json")))
def test_keras_2_models_with_state_of_their_training_are_served(load: Load, name: str) -> None:
    """Their ``adapt`` reads data sets, and their LSTM has a part for GPUs: serving reaches neither."""
    case = json.loads((FIXTURES / f"{name}.json").read_text())
    schema = RecordSchema("Record", tuple(case["numeric"]), tuple(case["text"]))
    content = (FIXTURES / f"{name}.model").read_bytes()
    model = load(ModelType.TENSORFLOWSAVED, content, tuple(case["inputs"]), schema=schema)
    rows = np.array(list(zip(*(case["records"][field] for field in model.fields), strict=True)), dtype=object)
    np.testing.assert_allclose(model.score(rows).result, case["result"], case["tolerance"], case["tolerance"])
    single = [model.score(rows[index : index + 1]).result[0] for index in range(len(rows))]
    np.testing.assert_allclose(single, case["result"], case["tolerance"], case["tolerance"])


def keras(*layers: Any) -> Any:
    return tf.keras.Sequential([tf.keras.layers.Input((2,), dtype="float32"), *layers])


@pytest.mark.parametrize("save", ["export", "saved_model.save"])
def test_keras_3_models_are_served_however_they_are_saved(load: Load, tmp_path: Path, save: str) -> None:
    dense, last = tf.keras.layers.Dense(3, activation="relu"), tf.keras.layers.Dense(1)
    model = keras(tf.keras.layers.Normalization(mean=[1.0, 2.0], variance=[4.0, 1.0]), dense, last)
    if save == "export":
        model.export(str(tmp_path / "saved"), verbose=False)
    else:
        tf.saved_model.save(model, str(tmp_path / "saved"))
    loaded = load(ModelType.TENSORFLOWSAVED, packed(tmp_path / "saved"))
    rows = np.vstack([ROWS, -3.0 * ROWS])
    np.testing.assert_allclose(loaded.score(rows).result, model(rows).numpy().ravel(), rtol=1e-5)


def test_a_variable_that_the_checkpoint_does_not_have_is_final(load: Load, tmp_path: Path) -> None:
    tf.saved_model.save(keras(tf.keras.layers.Dense(1)), str(tmp_path / "saved"))
    from tensorflow.core.protobuf import saved_model_pb2

    path = tmp_path / "saved" / "saved_model.pb"
    whole = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    del whole.meta_graphs[0].object_graph_def.nodes[0].children[:]
    path.write_bytes(whole.SerializeToString())
    with pytest.raises(ModelRejected) as caught:
        load(ModelType.TENSORFLOWSAVED, packed(tmp_path / "saved"))
    assert str(caught.value).endswith(
        "has no value in its checkpoint: export the model again, with model.export(folder) if it is a "
        "Keras 3 model"
    )


def test_several_inputs_are_in_the_order_of_the_models_list(load: Load, tmp_path: Path) -> None:
    wide, deep = tf.keras.Input((2,), name="wide"), tf.keras.Input((1,), name="deep")
    total = tf.keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")(wide)
    model = tf.keras.Model([wide, deep], total - 10.0 * deep)
    model.export(str(tmp_path / "saved"), verbose=False)
    schema = RecordSchema("Sample", ("a", "b", "c"))
    loaded = load(ModelType.TENSORFLOWSAVED, packed(tmp_path / "saved"), ("b", "c", "a"), schema=schema)
    assert loaded.fields == ("b", "c", "a")
    assert list(loaded.score(np.array([[2.0, 3.0, 1.0]])).result) == [-5.0]


def unordered(named: Any) -> Any:
    return {"y": named["p"] - named["q"]}


def test_inputs_of_a_dictionary_have_no_order(load: Load, tmp_path: Path) -> None:
    specs = {name: tf.TensorSpec((None, 1), tf.float32, name) for name in ("p", "q")}
    content = saved_function(tmp_path, unordered, specs)
    with pytest.raises(ModelRejected, match="no order of them"):
        load(ModelType.TENSORFLOWSAVED, content, ("first_number", "other"))


def of_two_signatures(tmp_path: Path) -> bytes:
    module = tf.Module()
    module.predict = tf.function(lambda x: {"y": x[:, 0]}, input_signature=[NUMBERS])
    module.explain = tf.function(lambda x: {"y": x[:, 1]}, input_signature=[NUMBERS])
    signatures = {"predict": module.predict, "explain": module.explain}
    tf.saved_model.save(module, str(tmp_path / "saved"), signatures=signatures)
    return packed(tmp_path / "saved")


def test_signature_name_chooses(load: Load, tmp_path: Path) -> None:
    content = of_two_signatures(tmp_path)
    model = load(ModelType.TENSORFLOWSAVED, content, signature_name="explain")
    assert list(model.score(ROWS).result) == [2.0, -1.0]
    assert description_of(model).kind == "TensorFlow SavedModel, signature explain"
    model = load(ModelType.TENSORFLOWSAVED, content, signature_name="predict")
    assert list(model.score(ROWS).result) == [1.0, 3.0]
    with pytest.raises(ModelRejected) as caught:
        load(ModelType.TENSORFLOWSAVED, content, signature_name="serve")
    assert str(caught.value) == (
        "the SavedModel has no signature 'serve': set signature_name to one of explain, predict"
    )


def test_a_model_without_a_signature_is_told_how_to_get_one(load: Load, tmp_path: Path) -> None:
    tf.saved_model.save(tf.Module(), str(tmp_path / "saved"))
    with pytest.raises(ModelRejected) as caught:
        load(ModelType.TENSORFLOWSAVED, packed(tmp_path / "saved"))
    assert str(caught.value) == (
        "the SavedModel has no signature to serve: export it with model.export(folder) of Keras 3, or "
        "tf.saved_model.save(model, folder, signatures=...)"
    )


def heads(x: Any) -> Any:
    return {"mean": x[:, 0], "deviation": x[:, 1]}


def test_two_heads_are_served_with_result_output(load: Load, tmp_path: Path) -> None:
    content = saved_function(tmp_path, heads, NUMBERS)
    with pytest.raises(ModelRejected) as caught:
        load(ModelType.TENSORFLOWSAVED, content)
    assert str(caught.value) == (
        "the model has the outputs deviation, mean: say in result_output which one gives the result"
    )
    scores = load(ModelType.TENSORFLOWSAVED, content, result_output="mean").score(ROWS)
    assert list(scores.result) == [1.0, 3.0]
    assert list(scores.outputs["deviation"]) == [2.0, -1.0]


def classified(x: Any) -> Any:
    probabilities = tf.nn.softmax(x)
    return {
        "probability": tf.reduce_max(probabilities, 1),
        "class": tf.argmin(probabilities, 1),
    }


def test_the_result_belongs_to_the_class_and_not_to_the_probability(load: Load, tmp_path: Path) -> None:
    scores = load(ModelType.TENSORFLOWSAVED, saved_function(tmp_path, classified, NUMBERS)).score(ROWS)
    assert (list(scores.result), list(scores.labels or ())) == ([0.0, 1.0], ["0", "1"])
    assert "probability" in scores.outputs


def named(x: Any) -> Any:
    least = tf.argmin(x, 1)
    return {"label": tf.gather(["low", "high"], least), "scores": 2.0 * x}


def test_text_labels_are_the_label_and_the_result_is_its_index(load: Load, tmp_path: Path) -> None:
    scores = load(ModelType.TENSORFLOWSAVED, saved_function(tmp_path, named, NUMBERS)).score(ROWS)
    assert (list(scores.result), list(scores.labels or ())) == ([0.0, 1.0], ["low", "high"])
    assert list(scores.outputs["probability_high"]) == [4.0, -2.0]


def of_windows(x: Any) -> Any:
    return {"y": tf.reduce_sum(x * tf.reshape([1.0, 10.0], (1, 2, 1)), (1, 2))}


def of_halves(x: Any) -> Any:
    return {"y": x[:, :1] * tf.constant(2.0, tf.bfloat16)}


def of_means(x: Any) -> Any:
    return {"y": x[:, 0] - tf.reduce_mean(x[:, 0])}


def of_eight(x: Any) -> Any:
    return {"y": tf.ensure_shape(x, (8, 2))[:, 1]}


def reduced(x: Any) -> Any:
    return {"y": tf.reduce_sum(x)}


@pytest.mark.parametrize(
    ("serve", "shape", "dtype", "expected"),
    [
        (of_windows, (None, 2, 1), "float32", [21.0, -7.0]),
        (of_halves, (None, 2), "bfloat16", [2.0, 6.0]),
        (of_means, (None, 2), "float32", [0.0, 0.0]),
        (of_eight, (8, 2), "float32", [2.0, -1.0]),
        (reduced, (1, 2), "float32", [3.0, 2.0]),
    ],
)
def test_shapes_and_types_of_all_kinds(
    load: Load,
    tmp_path: Path,
    serve: Callable[..., Any],
    shape: tuple[int | None, ...],
    dtype: str,
    expected: list[float],
) -> None:
    content = saved_function(tmp_path, serve, tf.TensorSpec(shape, dtype, "x"))
    model = load(ModelType.TENSORFLOWSAVED, content)
    assert list(model.score(ROWS).result) == expected
    assert [model.score(ROWS[index : index + 1]).result[0] for index in (0, 1)] == expected


def test_that_a_batch_matters_is_said(load: Load, tmp_path: Path) -> None:
    model = load(ModelType.TENSORFLOWSAVED, saved_function(tmp_path, of_means, NUMBERS))
    assert description_of(model).notes == (
        "Records are scored one at a time, because a record's score depends on the others of its batch.",
    )


@pytest.mark.parametrize(
    ("kind", "spec", "parts"),
    [
        ("sparse", tf.SparseTensorSpec((None, 2), tf.float32), "x, x_1, x_2"),
        ("ragged", tf.RaggedTensorSpec((None, None), tf.float32), "x, x_1"),
    ],
)
def test_sparse_and_ragged_inputs_are_refused_by_name(
    load: Load, tmp_path: Path, kind: str, spec: Any, parts: str
) -> None:
    def serve(x: Any) -> Any:
        return {"y": (tf.sparse.to_dense(x) if kind == "sparse" else x.to_tensor())[:, 0]}

    with pytest.raises(ModelRejected) as caught:
        load(ModelType.TENSORFLOWSAVED, saved_function(tmp_path, serve, spec))
    assert str(caught.value) == (
        f"the signature takes a {kind} tensor, whose parts are its inputs {parts}: export the model with "
        "dense tensors, one row for each record (tf.sparse.to_dense, .to_tensor())"
    )
