"""Models that give back what they were given: a record's key, the true label, all columns of their data.

What comes back is never the label or the result, and a record need not have what only comes back. Nor is the
label what is the same for every record, such as the model's version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from model_serving.core.engine import RecordSchema, description_of
from model_serving.core.errors import ModelRejected
from model_serving.core.messages import ModelType
from tests.unit.engines.onnx_builders import FLOAT, TEXT, TRUTH, WHOLE, model_of, value
from tests.unit.engines.tensorflow_builders import Load, frozen, packed, saved_function, tf, v1

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

WITH_KEY = RecordSchema("Keyed", ("x", "key"), ("name",))
WITHOUT = RecordSchema("Bare", ("x",))
KEYED_ROWS = {"x": [1.0, 2.0], "key": [70.0, 90.0], "name": ["a", "b"]}
NOTE = "No result depends on these inputs, and the record has no field for them: key."


def rows(fields: Sequence[str]) -> Any:
    columns = [KEYED_ROWS[field] for field in fields]
    return np.array(list(zip(*columns, strict=True)), dtype=object if "name" in fields else float)


# What comes back of a key, by the type of the key.
KEYS = pytest.mark.parametrize(
    ("kind", "field"),
    [(tf.int64, "key"), (tf.float32, "key"), (tf.string, "name")],
    ids=["whole", "float", "text"],
)


def forwarding(tmp_path: Path, kind: Any) -> bytes:
    """The way of estimators' ``forward_features``: the key goes in and comes out."""

    def serve(key: Any, x: Any) -> dict[str, Any]:
        return {"key": tf.expand_dims(tf.identity(key), 1), "predictions": 3.0 * x}

    specs = (tf.TensorSpec((None,), kind, "key"), tf.TensorSpec((None,), tf.float32, "x"))
    return saved_function(tmp_path, serve, *specs)


@KEYS
def test_a_key_that_a_saved_model_forwards_is_not_its_label(
    load: Load, tmp_path: Path, kind: Any, field: str
) -> None:
    content = forwarding(tmp_path, kind)
    model = load(ModelType.TENSORFLOWSAVED, content, schema=WITH_KEY, inputs=(field, "x"))
    scores = model.score(rows(model.fields))
    assert (scores.result.tolist(), scores.labels) == ([3.0, 6.0], None)
    assert {name: list(values) for name, values in scores.outputs.items()} == (
        {"predictions": [3.0, 6.0]} | ({} if field == "name" else {"key": KEYED_ROWS["key"]})
    )


@KEYS
def test_a_key_that_a_saved_model_forwards_is_not_needed(
    load: Load, tmp_path: Path, kind: Any, field: str
) -> None:
    del field
    model = load(ModelType.TENSORFLOWSAVED, forwarding(tmp_path, kind), schema=WITHOUT)
    scores = model.score(rows(model.fields))
    assert (model.fields, scores.result.tolist(), dict(scores.outputs)) == (("x",), [3.0, 6.0], {})
    assert NOTE in description_of(model).notes


def test_a_key_that_is_asked_for_is_the_result(load: Load, tmp_path: Path) -> None:
    content = forwarding(tmp_path, tf.int64)
    model = load(
        ModelType.TENSORFLOWSAVED, content, schema=WITH_KEY, inputs=("key", "x"), result_output="key"
    )
    assert model.score(rows(model.fields)).result.tolist() == KEYED_ROWS["key"]
    with pytest.raises(ModelRejected, match="needs the field 'key'"):
        load(ModelType.TENSORFLOWSAVED, content, schema=WITHOUT, result_output="key")


def test_a_key_that_a_frozen_graph_forwards_is_not_its_label(load: Load) -> None:
    def build() -> None:
        key, x = (
            v1.placeholder(kind, (None,), name) for kind, name in ((tf.int32, "key"), (tf.float32, "x"))
        )
        tf.cast(key, tf.int64, name="key_out")
        tf.multiply(x, 3.0, name="score")

    model = load(ModelType.TENSORFLOW, frozen(build), schema=WITH_KEY)
    scores = model.score(rows(model.fields))
    assert (scores.result.tolist(), scores.labels) == ([3.0, 6.0], None)
    assert list(load(ModelType.TENSORFLOW, frozen(build), schema=WITHOUT).fields) == ["x"]


def test_keras_models_that_pass_an_id_on(load: Load, tmp_path: Path) -> None:
    key, x = tf.keras.Input((1,), dtype="int64", name="key"), tf.keras.Input((1,), name="x")
    score = tf.keras.layers.Dense(1, kernel_initializer="ones")(x)
    tf.keras.Model([key, x], [key, score]).export(str(tmp_path / "saved"), verbose=False)
    model = load(ModelType.TENSORFLOWSAVED, packed(tmp_path / "saved"), schema=WITH_KEY)
    scores = model.score(rows(model.fields))
    assert (scores.result.tolist(), scores.labels) == ([1.0, 2.0], None)


@pytest.mark.parametrize("version", [7, "v7"])
def test_the_version_that_a_model_gives_with_each_record_is_not_its_label(
    load: Load, tmp_path: Path, version: Any
) -> None:
    def serve(x: Any) -> dict[str, Any]:
        return {"model_version": tf.fill(tf.shape(x), version), "predictions": 3.0 * x}

    content = saved_function(tmp_path, serve, tf.TensorSpec((None,), tf.float32, "x"))
    model = load(ModelType.TENSORFLOWSAVED, content, schema=WITHOUT)
    scores = model.score(rows(model.fields))
    assert (scores.result.tolist(), scores.labels) == ([3.0, 6.0], None)
    kept = {} if isinstance(version, str) else {"model_version": [7.0, 7.0]}
    assert {name: list(values) for name, values in scores.outputs.items()} == (
        kept | {"predictions": [3.0, 6.0]}
    )


def test_a_key_of_a_message_that_the_model_parses_is_not_its_label(load: Load, tmp_path: Path) -> None:
    def serve(examples: Any) -> dict[str, Any]:
        features = {
            "key": tf.io.FixedLenFeature((), tf.int64),
            "x": tf.io.FixedLenFeature((), tf.float32),
        }
        parsed = tf.io.parse_example(examples, features)
        return {
            "key": parsed["key"],
            "as_text": tf.as_string(parsed["key"]),
            "predictions": 3.0 * parsed["x"],
        }

    content = saved_function(tmp_path, serve, tf.TensorSpec((None,), tf.string, "examples"))
    model = load(ModelType.TENSORFLOWSAVED, content, schema=WITH_KEY)
    scores = model.score(rows(model.fields))
    assert (scores.result.tolist(), scores.labels) == ([3.0, 6.0], None)


def test_a_model_that_is_a_constant_gives_it(load: Load, tmp_path: Path) -> None:
    def serve(x: Any) -> dict[str, Any]:
        return {"predictions": tf.fill(tf.shape(x), 4.0)}

    content = saved_function(tmp_path, serve, tf.TensorSpec((None,), tf.float32, "x"))
    assert load(ModelType.TENSORFLOWSAVED, content, schema=WITHOUT).score(rows(["x"])).result.tolist() == [
        4,
        4,
    ]


def test_what_a_key_takes_part_in_is_computed(load: Load, tmp_path: Path) -> None:
    def serve(key: Any, x: Any) -> dict[str, Any]:
        return {"key": key + 0, "predictions": 3.0 * x + tf.cast(key, tf.float32)}

    specs = (tf.TensorSpec((None,), tf.int64, "key"), tf.TensorSpec((None,), tf.float32, "x"))
    with pytest.raises(ModelRejected, match="needs the field 'key'"):
        load(ModelType.TENSORFLOWSAVED, saved_function(tmp_path, serve, *specs), schema=WITHOUT)


# ONNX: what ML.NET writes. Every column of the data comes back as NAME.output, the true label too.


def ml(kind: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> Any:
    return helper.make_node(kind, inputs, outputs, domain="ai.onnx.ml", **attributes)


def passed(name: str, kind: int, *nodes: Any) -> tuple[list[Any], Any]:
    return [*nodes, helper.make_node("Identity", [name], [f"{name}.output"])], value(
        f"{name}.output", None, 1, kind=kind
    )


COLUMNS = [value("u", None, 1), value("v", None, 1)]
FEATURES = [
    helper.make_node("Concat", ["u", "v"], ["joined"], axis=1),
    helper.make_node("Mul", ["joined", "scale"], ["Features.output"]),
]
SCALE = helper.make_tensor("scale", FLOAT, [2], [1.0, 2.0])
ZERO = helper.make_tensor("zero", FLOAT, [1], [0.0])
ML_ROWS = RecordSchema("Data", ("u", "v"))


def ml_net(label: int, nodes: Sequence[Any], outputs: Sequence[Any], *constants: Any) -> bytes:
    columns = [passed("u", FLOAT), passed("v", FLOAT)]
    back = [node for nodes_, _ in columns for node in nodes_]
    return model_of(
        [*back, *FEATURES, *nodes],
        [*COLUMNS, value("Label", None, 1, kind=label)],
        [*(shown for _, shown in columns), *outputs[:1], value("Features.output", None, 2), *outputs[1:]],
        SCALE,
        ZERO,
        *constants,
    )


def two_classes() -> bytes:
    nodes = [
        helper.make_node("Identity", ["Label"], ["Label.output"]),
        helper.make_node("MatMul", ["Features.output", "w"], ["Score.output"]),
        helper.make_node("Sigmoid", ["Score.output"], ["Probability.output"]),
        helper.make_node("Greater", ["Score.output", "zero"], ["PredictedLabel.output"]),
    ]
    outputs = [
        value("Label.output", None, 1, kind=TRUTH),
        value("Score.output", None, 1),
        value("Probability.output", None, 1),
        value("PredictedLabel.output", None, 1, kind=TRUTH),
    ]
    return ml_net(TRUTH, nodes, outputs, helper.make_tensor("w", FLOAT, [2, 1], [1.0, 1.0]))


def numbered_classes(label: int = TEXT) -> bytes:
    nodes = [
        ml("LabelEncoder", ["Label"], ["key"], keys_strings=["a", "b", "c"], values_int64s=[1, 2, 3]),
        helper.make_node("Cast", ["key"], ["Label.output"], to=TensorProto.UINT32),
        helper.make_node("MatMul", ["Features.output", "w"], ["raw"]),
        helper.make_node("Softmax", ["raw"], ["Score.output"]),
        helper.make_node("ArgMax", ["Score.output"], ["greatest"], axis=1),
        helper.make_node("Add", ["greatest", "one"], ["counted"]),
        helper.make_node("Cast", ["counted"], ["PredictedLabel.output"], to=TensorProto.UINT32),
    ]
    outputs = [
        value("Label.output", None, 1, kind=TensorProto.UINT32),
        value("Score.output", None, 3),
        value("PredictedLabel.output", None, 1, kind=TensorProto.UINT32),
    ]
    weights = helper.make_tensor("w", FLOAT, [2, 3], [1.0, 0.0, -1.0, 0.0, 1.0, -1.0])
    return ml_net(label, nodes, outputs, weights, helper.make_tensor("one", WHOLE, [1], [1]))


def regression() -> bytes:
    nodes = [
        helper.make_node("Identity", ["Label"], ["Label.output"]),
        helper.make_node("MatMul", ["Features.output", "w"], ["Score.output"]),
    ]
    outputs = [value("Label.output", None, 1), value("Score.output", None, 1)]
    return ml_net(FLOAT, nodes, outputs, helper.make_tensor("w", FLOAT, [2, 1], [1.0, 1.0]))


@pytest.mark.parametrize(
    ("make", "results", "labels"),
    [
        (two_classes, [1.0, 0.0], ["True", "False"]),
        (numbered_classes, [2.0, 1.0], ["2", "1"]),
        (regression, [5.0, -1.0], None),
    ],
)
def test_models_of_ml_net_give_what_they_predict_and_not_their_data(
    load: Load, make: Callable[[], bytes], results: list[float], labels: list[str] | None
) -> None:
    model = load(ModelType.ONNX, make(), schema=ML_ROWS)
    for size in (2, 1):
        scores = model.score(np.array([[1.0, 2.0], [1.0, -1.0]])[:size])
        assert scores.result.tolist() == results[:size]
        assert scores.labels == (None if labels is None else labels[:size])
    assert not {"probability_False", "Label.output"} & set(scores.outputs)
    assert scores.outputs["v.output"].tolist() == [2.0]
    assert "record has no field for them: Label." in " ".join(description_of(model).notes)


def test_the_true_label_comes_back_where_a_record_has_it(load: Load) -> None:
    schema = RecordSchema("Data", ("u", "v", "label"))
    model = load(ModelType.ONNX, two_classes(), schema=schema)
    row = {"u": 1.0, "v": 2.0, "label": 0.0}
    scores = model.score(np.array([[row[field] for field in model.fields]]))
    assert (scores.result.tolist(), scores.labels) == ([1.0], ["True"])
    assert scores.outputs["Label.output"].tolist() == [0.0]


def test_a_column_that_an_export_has_dropped_is_not_needed(load: Load) -> None:
    """scikit-learn's ColumnTransformer with ``remainder="drop"``: skl2onnx keeps the input."""
    content = model_of(
        [helper.make_node("Mul", ["u", "scale"], ["y"])],
        [value("u", None, 1), value("dropped", None, 1, kind=TEXT)],
        [value("y", None, 1)],
        helper.make_tensor("scale", FLOAT, [1], [2.0]),
    )
    model = load(ModelType.ONNX, content, schema=RecordSchema("Data", ("v", "u")))
    assert (model.fields, model.score(np.array([[3.0]])).result.tolist()) == (("u",), [6.0])


def test_a_number_that_is_the_same_for_every_record_is_not_the_label(load: Load) -> None:
    content = model_of(
        [
            helper.make_node("Shape", ["u"], ["shape"]),
            helper.make_node(
                "ConstantOfShape", ["shape"], ["version"], value=helper.make_tensor("", WHOLE, [1], [7])
            ),
            helper.make_node("Mul", ["u", "scale"], ["y"]),
        ],
        [value("u", None, 1)],
        [value("version", None, 1, kind=WHOLE), value("y", None, 1)],
        helper.make_tensor("scale", FLOAT, [1], [2.0]),
    )
    scores = load(ModelType.ONNX, content, schema=RecordSchema("Data", ("u",))).score(np.array([[3.0]]))
    assert (scores.result.tolist(), scores.labels) == ([6.0], None)
    assert {name: list(values) for name, values in scores.outputs.items()} == {"version": [7.0], "y": [6.0]}


def test_what_a_branch_uses_is_needed(load: Load) -> None:
    def branch(name: str, source: str) -> Any:
        shown = value(name, None, 1)
        return helper.make_graph([helper.make_node("Identity", [source], [name])], name, [], [shown])

    content = model_of(
        [
            helper.make_node("ReduceMax", ["u"], ["most"], keepdims=0),
            helper.make_node("Greater", ["most", "zero"], ["is_positive"]),
            helper.make_node(
                "If", ["is_positive"], ["y"], then_branch=branch("a", "u"), else_branch=branch("b", "v")
            ),
        ],
        [value("u", 1, 1), value("v", 1, 1)],
        [value("y", 1, 1)],
        helper.make_tensor("zero", FLOAT, [], [0.0]),
    )
    with pytest.raises(ModelRejected, match="needs the field 'v'"):
        load(ModelType.ONNX, content, schema=RecordSchema("Data", ("u",)))
    model = load(ModelType.ONNX, content, schema=ML_ROWS)
    assert model.score(np.array([[-1.0, 7.0]])).result.tolist() == [7.0]
