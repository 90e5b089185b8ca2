"""Both TensorFlow engines, on graphs and SavedModels that are made here."""

from __future__ import annotations

import io
import math
import tarfile
import tempfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from model_serving.core.engine import LoadedModel
from model_serving.core.errors import ModelRejected, ScoringFailed
from model_serving.core.messages import ModelType, OutputRule
from model_serving.engines.tensorflow.session import import_tensorflow

if TYPE_CHECKING:
    from pathlib import Path

Load = Callable[..., LoadedModel]
tf: Any = import_tensorflow()
v1 = tf.compat.v1
ROWS = np.array([[1.0, 2.0], [3.0, -1.0]])


def frozen(build: Callable[[], object]) -> bytes:
    with tf.Graph().as_default() as graph:
        build()
        content: bytes = graph.as_graph_def().SerializeToString()
        return content


def x(*shape: int | None, dtype: Any = tf.float32, name: str = "x") -> Any:
    return v1.placeholder(dtype, shape or None, name)


def weighed(source: Any, columns: int) -> Any:
    weights = np.arange(2 * columns, dtype=source.dtype.as_numpy_dtype).reshape(2, columns)
    return tf.matmul(source, tf.constant(weights), name="y")


def packed(folder: Path) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.add(folder, arcname="1")
    return content.getvalue()


def saved(
    tmp_path: Path, build: Callable[[], tuple[dict[str, Any], dict[str, Any]]], *signatures: str
) -> bytes:
    """Returns a SavedModel of TensorFlow 1: reference variables, tag ``serve``."""
    folder = tmp_path / "saved"
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        inputs, outputs = build()
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(folder))
        signature = v1.saved_model.predict_signature_def(inputs, outputs)
        builder.add_meta_graph_and_variables(
            session, ["serve"], dict.fromkeys(signatures or ("predict",), signature)
        )
        builder.save()
    return packed(folder)


def variable(value: Any) -> Any:
    return v1.get_variable("w", initializer=tf.constant(value), use_resource=False)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32", "int64"])
@pytest.mark.parametrize("shape", [(None, 2), (None, None), (1, 2), ()])
def test_graph_with_one_column_gives_its_value(load: Load, dtype: str, shape: tuple[int | None, ...]) -> None:
    content = frozen(lambda: weighed(x(*shape, dtype=tf.as_dtype(dtype)), 1))
    scores = load(ModelType.TENSORFLOW, content).score(ROWS)
    assert (scores.result.dtype.name, scores.labels, dict(scores.outputs)) == ("float64", None, {})
    np.testing.assert_array_equal(scores.result, [2.0, -1.0])


def test_graph_with_more_columns_gives_the_greatest(load: Load) -> None:
    model = load(ModelType.TENSORFLOW, frozen(lambda: weighed(x(None, 2), 3)))
    assert model.fields == ("first_number", "other")
    scores = model.score(np.vstack([ROWS, [0.0, 0.0], [math.nan, 1.0]]))
    np.testing.assert_array_equal(scores.result, [2.0, 2.0, 0.0, math.nan])
    assert {name: list(values[:2]) for name, values in scores.outputs.items()} == {
        "y[0]": [6.0, -3.0],
        "y[1]": [9.0, -1.0],
        "y[2]": [12.0, 1.0],
    }


def test_inputs_choose_and_order_the_fields(load: Load) -> None:
    model = load(
        ModelType.TENSORFLOW, frozen(lambda: weighed(x(None, 2), 1)), inputs=("other", "first number")
    )
    assert model.fields == ("other", "first_number")


def test_constants_assertions_and_defaults_beside_the_way_do_not_matter(load: Load) -> None:
    def build() -> None:
        source = x(None, 2)
        learning = v1.placeholder_with_default(False, (), "learning")
        tf.constant(1.0, name="unused")
        with tf.control_dependencies([v1.assert_non_negative(tf.reduce_sum(source) + 100)]):
            tf.identity(weighed(source, 1) * tf.cast(tf.logical_not(learning), tf.float32), "z")

    np.testing.assert_array_equal(load(ModelType.TENSORFLOW, frozen(build)).score(ROWS).result, [2.0, -1.0])


def two_placeholders() -> None:
    tf.add(x(None, 2, name="a"), x(None, 2, name="b"), name="sum")


def two_terminals() -> None:
    source = x(None, 2)
    tf.identity(source, "a")
    tf.identity(source, "b")


def several_outputs() -> None:
    tf.nn.top_k(x(None, 2), name="top")


def reads_a_file() -> None:
    tf.strings.to_number(tf.io.read_file("/etc/passwd")) + x(None, 2)


def calls_python() -> None:
    v1.py_func(lambda value: value, [x(None, 2)], tf.float32, name="python")


def reads_in_a_function() -> None:
    @tf.function
    def hidden(value: Any) -> Any:
        return value + tf.strings.to_number(tf.io.read_file("/etc/passwd"), tf.float32)

    hidden(x(None, 2))


REACHES_OUT = "reaches files, hosts or code outside the model, or is not known: export the model without it"


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (
            two_placeholders,
            (
                "a frozen graph must have one placeholder, but this one has 2: "
                "a (Placeholder), b (Placeholder): "
                "freeze it with one input, or send a SavedModel"
            ),
        ),
        (
            lambda: tf.constant(1.0),
            (
                "a frozen graph must have one placeholder, but this one has none: "
                "freeze it with one input, or send a SavedModel"
            ),
        ),
        (
            two_terminals,
            (
                "a frozen graph must have one terminal operation with one output, but this one has "
                "2: a (Identity), b (Identity): freeze it with one output"
            ),
        ),
        (
            several_outputs,
            (
                "a frozen graph must have one terminal operation with one output, but this one has "
                "1: top (TopKV2): freeze it with one output"
            ),
        ),
        (
            lambda: tf.reduce_sum(weighed(x(None, 2), 1)),
            "the model gives one value for 5 records: export it so that it gives one for each record",
        ),
        (
            lambda: tf.strings.as_string(x(None, 2)),
            "the model has no output of numbers: export it with one",
        ),
        (reads_a_file, f"the model's operation 'ReadFile' (ReadFile) {REACHES_OUT}"),
        (calls_python, f"the model's operation 'python' (PyFunc) {REACHES_OUT}"),
        (reads_in_a_function, f"the model's operation 'ReadFile' (ReadFile) {REACHES_OUT}"),
        (
            lambda: v1.raw_ops.RestoreV2(
                prefix="x", tensor_names=["w"], shape_and_slices=[""], dtypes=[tf.float32]
            ),
            (
                "the model's operation 'RestoreV2' (RestoreV2) would touch files while the model serves: "
                "export the model without it"
            ),
        ),
        (
            lambda: tf.identity(x(None, 3)),
            (
                "the model's input x float32 [n, 3] takes 3 fields, Sample has 2 (first_number, other): "
                "name the fields in inputs, in the order in which the model takes them"
            ),
        ),
    ],
    ids=[
        "two placeholders",
        "no placeholder",
        "two terminals",
        "several outputs",
        "scalar",
        "text",
        "file",
        "python",
        "file in a function",
        "checkpoint",
        "width",
    ],
)
def test_graphs_that_cannot_serve_are_rejected(load: Load, build: Callable[[], object], text: str) -> None:
    with pytest.raises(ModelRejected) as caught:
        load(ModelType.TENSORFLOW, frozen(build))
    assert str(caught.value) == text


def test_bytes_that_are_no_graph_are_rejected(load: Load) -> None:
    with pytest.raises(ModelRejected) as caught:
        load(ModelType.TENSORFLOW, b"<PMML/>")
    assert (
        str(caught.value)
        == "not a TensorFlow GraphDef: DecodeError: Error parsing message with type 'tensorflow.GraphDef'"
    )
    with pytest.raises(ModelRejected) as caught:
        load(ModelType.TENSORFLOW, b"")
    assert str(caught.value) == "not a TensorFlow GraphDef: it has no operations (is it of another kind?)"


def test_an_error_while_scoring_is_the_batchs(load: Load) -> None:
    def build() -> None:
        source = x(None, 2)
        with tf.control_dependencies([v1.assert_less(source, 10.0, message="too great")]):
            weighed(source, 1)

    model = load(ModelType.TENSORFLOW, frozen(build))
    with pytest.raises(ScoringFailed, match=r"^TensorFlow failed: .*too great"):
        model.score(np.array([[1.0, 11.0]]))
    np.testing.assert_array_equal(model.score(ROWS).result, [2.0, -1.0])


def test_a_graph_that_fails_on_zeros_is_taken_at_its_word(load: Load) -> None:
    def build() -> None:
        source = x(None, 2)
        with tf.control_dependencies([v1.assert_none_equal(source, 0.0)]):
            weighed(source, 3)

    np.testing.assert_array_equal(load(ModelType.TENSORFLOW, frozen(build)).score(ROWS).result, [2.0, 2.0])


def linear() -> tuple[dict[str, Any], dict[str, Any]]:
    source = x(None, 2)
    return {"inputs": source}, {"outputs": tf.matmul(source, variable([[0.0, 1.0], [2.0, 3.0]]))}


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
    assert {name: list(values) for name, values in scores.outputs.items()} == {
        "predictions": [11.0, 2.0],
        "logits": [-11.0, -2.0],
        "class_ids": [11.0, 2.0],
    }


def unclear() -> tuple[dict[str, Any], dict[str, Any]]:
    source = x(None, 2)
    return {"inputs": source}, {"a": source * variable(1.0), "b": source}


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
            "a SavedModel must have the signature 'serving_default' or only one, but this one has a, b: set signature_name to one of them",
        ),
        (
            unclear,
            ("predict",),
            (
                "the model has the outputs a, b: say in result_output which one gives the result"
            ),
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


def test_argmax_and_value_must_fit(load: Load) -> None:
    one = frozen(lambda: weighed(x(None, 2), 1))
    with pytest.raises(ModelRejected, match=r"^output ARGMAX needs several output columns"):
        load(ModelType.TENSORFLOW, one, output=OutputRule.ARGMAX)


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
