"""The engine of frozen TensorFlow graphs, on graphs that are made here: one input and one output."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from model_serving.core.errors import ModelRejected, ScoringFailed
from model_serving.core.messages import ModelType, OutputRule
from tests.unit.engines.tensorflow_builders import ROWS, Load, frozen, tf, v1, weighed, x


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


def reads_a_file() -> None:
    tf.strings.to_number(tf.io.read_file("/etc/passwd")) + x(None, 2)


def calls_python() -> None:
    v1.py_func(lambda value: value, [x(None, 2)], tf.float32, name="python")


def reads_in_a_function() -> None:
    @tf.function
    def hidden(value: Any) -> Any:
        return value + tf.strings.to_number(tf.io.read_file("/etc/passwd"), tf.float32)

    hidden(x(None, 2))


def restores() -> None:
    read = v1.raw_ops.RestoreV2(prefix="x", tensor_names=["w"], shape_and_slices=[""], dtypes=[tf.float32])
    tf.add(x(None, 2), read[0])


REACHES_OUT = "reaches files, hosts or code outside the model, or is not known: export the model without it"


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (
            lambda: tf.constant(1.0),
            (
                "a frozen graph must have a placeholder and an operation that is computed from it, but this "
                "one has the placeholders none: freeze it with its input and its output, or send a SavedModel"
            ),
        ),
        (
            lambda: x(None, 2),
            (
                "a frozen graph must have a placeholder and an operation that is computed from it, but this "
                "one has the placeholders x: freeze it with its input and its output, or send a SavedModel"
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
            restores,
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
        "no placeholder",
        "nothing computed",
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


def test_argmax_and_value_must_fit(load: Load) -> None:
    one = frozen(lambda: weighed(x(None, 2), 1))
    with pytest.raises(ModelRejected, match=r"^output ARGMAX needs several output columns"):
        load(ModelType.TENSORFLOW, one, output=OutputRule.ARGMAX)
