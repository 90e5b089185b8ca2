"""Models whose input is serialized tf.train.Example messages: of TFX, and of estimators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from model_serving.core.engine import LoadedModel, RecordSchema, Scores, description_of
from model_serving.core.errors import ModelRejected
from model_serving.core.messages import ModelType
from model_serving.engines.tensorflow.examples import serialized
from model_serving.engines.tensors.inputs import TensorInput
from tests.unit.engines.tensorflow_builders import Load, packed, saved_function, tf, v1

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = RecordSchema("Sample", ("a", "b", "n"), ("city",))
RECORD = {"a": 1.5, "b": -2.0, "n": 7.0, "city": "Zürich"}
EXAMPLES = tf.TensorSpec((None,), tf.string, "examples")
FLOAT, INT = tf.float32, tf.int64
one = tf.io.FixedLenFeature


def scored(model: LoadedModel, *records: dict[str, Any]) -> Scores:
    rows = [[record[field] for field in model.fields] for record in records]
    return model.score(np.array(rows, dtype=object if "city" in model.fields else float))


def test_messages_are_those_of_the_library() -> None:
    kinds: dict[str, np.dtype[Any] | None] = {"a": np.dtype("f4"), "n": np.dtype("i8"), "city": None}
    write = serialized([TensorInput(name, kind, (None, 2)) for name, kind in kinds.items()])
    values = [
        np.array([[1.5, np.nan], [-1e30, 0.0]], "f4"),
        np.array([[-1, 2**62], [0, 300]], "i8"),
        np.array([["Zürich", ""], ["x" * 300, "\U0001f377"]], dtype=object),
    ]
    for index, message in enumerate(write(values)):
        read = tf.train.Example.FromString(message).features.feature
        np.testing.assert_array_equal(read["a"].float_list.value, values[0][index])
        assert list(read["n"].int64_list.value) == list(values[1][index])
        assert [text.decode() for text in read["city"].bytes_list.value] == list(values[2][index])


def parsed(examples: Any) -> Any:
    features = {"a": one([], FLOAT), "b": one([1], FLOAT), "n": one([], INT)}
    found = tf.io.parse_example(examples, features | {"city": tf.io.VarLenFeature(tf.string)})
    length = tf.strings.length(tf.sparse.to_dense(found["city"])[:, 0], unit="UTF8_CHAR")
    return {
        "y": found["a"]
        + 10.0 * found["b"][:, 0]
        + 100.0 * tf.cast(found["n"] * 100 + tf.cast(length, INT), FLOAT)
    }


def test_fields_go_into_the_features_of_their_names(load: Load, tmp_path: Path) -> None:
    model = load(ModelType.TENSORFLOWSAVED, saved_function(tmp_path, parsed, EXAMPLES), schema=SCHEMA)
    assert sorted(model.fields) == ["a", "b", "city", "n"]
    expected = 1.5 - 20.0 + 100.0 * 706
    assert list(scored(model, RECORD, RECORD | {"a": 2.5}).result) == [expected, expected + 1.0]
    described = {(line.name, line.type, line.field) for line in description_of(model).inputs}
    assert ("n", "int64 [n]", "n") in described
    assert ("city", "text [n]", "city") in described


def of_one_feature(examples: Any) -> Any:
    found = tf.io.parse_example(examples, {"all": one([3], FLOAT)})
    return {"y": tf.reduce_sum(found["all"] * [1.0, 10.0, 100.0], 1)}


def test_a_feature_of_several_values_takes_several_fields(load: Load, tmp_path: Path) -> None:
    content = saved_function(tmp_path, of_one_feature, EXAMPLES)
    assert list(scored(load(ModelType.TENSORFLOWSAVED, content, schema=SCHEMA), RECORD).result) == [681.5]
    model = load(ModelType.TENSORFLOWSAVED, content, ("n", "a", "b"), schema=SCHEMA)
    assert list(scored(model, RECORD).result) == [-178.0]


def of_others(examples: Any) -> Any:
    found = tf.io.parse_example(examples, {"a": one([], FLOAT), "humidity": one([], FLOAT)})
    return {"y": found["a"] + found["humidity"]}


def with_default(examples: Any) -> Any:
    found = tf.io.parse_example(examples, {"a": one([], FLOAT), "humidity": one([], FLOAT, 0.5)})
    return {"y": found["a"] + found["humidity"]}


def test_a_feature_that_is_no_field_is_refused_by_its_name(load: Load, tmp_path: Path) -> None:
    with pytest.raises(
        ModelRejected, match="the model needs the field 'humidity', which Sample does not have"
    ):
        load(ModelType.TENSORFLOWSAVED, saved_function(tmp_path, of_others, EXAMPLES), schema=SCHEMA)


def test_a_feature_with_a_default_keeps_it_and_says_so(load: Load, tmp_path: Path) -> None:
    content = saved_function(tmp_path, with_default, EXAMPLES)
    model = load(ModelType.TENSORFLOWSAVED, content, schema=SCHEMA)
    assert list(scored(model, RECORD).result) == [2.0]
    assert description_of(model).notes == (
        "These features are not fields of the record and have the model's defaults: humidity.",
    )


def estimator(tmp_path: Path) -> bytes:
    """Returns a SavedModel with the signatures that a classifier of tf.estimator exports."""
    names = ["x", "y", "z"]
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        examples = v1.placeholder(tf.string, [None], "input_example_tensor")
        found = v1.parse_example(examples, {"a": one([1], FLOAT), "b": one([1], FLOAT, [0.0])})
        weights = v1.get_variable("w", initializer=[[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], use_resource=False)
        logits = tf.matmul(tf.concat([found["a"], found["b"]], 1), weights)
        scores, ids = tf.nn.softmax(logits), tf.argmax(logits, 1)
        all_names = tf.tile([names], [tf.shape(logits)[0], 1])
        outputs = {
            "logits": logits,
            "probabilities": scores,
            "class_ids": tf.expand_dims(ids, 1),
            "classes": tf.expand_dims(tf.gather(names, ids), 1),
            "all_classes": all_names,
        }
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(tmp_path / "saved"))
        signatures = {
            "serving_default": v1.saved_model.classification_signature_def(examples, all_names, scores),
            "predict": v1.saved_model.predict_signature_def({"examples": examples}, outputs),
        }
        builder.add_meta_graph_and_variables(session, ["serve"], signatures)
        builder.save()
    return packed(tmp_path / "saved")


@pytest.mark.parametrize("signature", ["", "predict"])
def test_an_estimators_classifier_gives_label_and_probabilities(
    load: Load, tmp_path: Path, signature: str
) -> None:
    model = load(ModelType.TENSORFLOWSAVED, estimator(tmp_path), schema=SCHEMA, signature_name=signature)
    scores = scored(model, RECORD, RECORD | {"b": 9.0})
    assert (list(scores.labels or ()), list(scores.result)) == (["x", "z"], [0.0, 2.0])
    assert description_of(model).classes == ("x", "y", "z")
    total = sum(scores.outputs[f"probability_{name}"] for name in "xyz")
    np.testing.assert_allclose(total, [1.0, 1.0], rtol=1e-6)
