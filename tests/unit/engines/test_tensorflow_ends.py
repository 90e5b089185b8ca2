"""Where a frozen graph begins and ends: several placeholders, several terminals, what its training left."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from model_serving.core.engine import description_of
from model_serving.core.errors import ModelRejected
from model_serving.core.messages import ModelType
from tests.unit.engines.tensorflow_builders import ROWS, Load, frozen, tf, v1, weighed, x


def by_fields() -> None:
    other, first = x(None, name="other"), x(None, 1, name="First-Number")
    tf.add(other, 10.0 * tf.squeeze(first, 1), name="sum")


def test_placeholders_are_paired_by_the_names_of_fields(load: Load) -> None:
    model = load(ModelType.TENSORFLOW, frozen(by_fields))
    columns = np.array([[{"first_number": 1.0, "other": 2.0}[field] for field in model.fields]])
    assert list(model.score(columns).result) == [12.0]


def two_placeholders() -> None:
    tf.add(x(None, 1, name="p"), x(None, 1, name="q"), name="sum")


def test_placeholders_of_other_names_have_no_order(load: Load) -> None:
    with pytest.raises(ModelRejected, match="the model has several inputs and no order of them"):
        load(ModelType.TENSORFLOW, frozen(two_placeholders))


@pytest.mark.parametrize(
    ("shape", "dtype"), [((), tf.float32), (None, tf.float32), (None, tf.bool), ((), tf.bool)]
)
def test_a_setting_of_the_training_is_refused_by_its_name(
    load: Load, shape: tuple[int, ...] | None, dtype: object
) -> None:
    def build() -> None:
        kept = v1.placeholder(dtype, shape, "keep_prob")
        tf.multiply(weighed(x(None, 2), 1), tf.cast(kept, tf.float32), name="z")

    with pytest.raises(ModelRejected) as caught:
        load(ModelType.TENSORFLOW, frozen(build))
    assert str(caught.value) == (
        f"the graph's placeholder 'keep_prob' ({tf.as_dtype(dtype).name}) is not a field of the record, but "
        "one value for all of them, such as a dropout rate or a flag of the training: freeze the graph with "
        "a constant in its place (import_graph_def with input_map={'keep_prob:0': constant}), or use "
        "tf.compat.v1.placeholder_with_default"
    )


def test_a_placeholder_that_no_result_needs_is_not_an_input(load: Load) -> None:
    def build() -> None:
        weighed(x(None, 2), 1)
        tf.identity(1.0, name="loose")
        v1.placeholder(tf.int64, (None,), "target")

    np.testing.assert_array_equal(load(ModelType.TENSORFLOW, frozen(build)).score(ROWS).result, [2.0, -1.0])


def test_a_placeholder_with_a_default_is_the_input_when_there_is_no_other(load: Load) -> None:
    content = frozen(lambda: weighed(v1.placeholder_with_default(np.zeros((1, 2), "f4"), (None, 2), "x"), 1))
    np.testing.assert_array_equal(load(ModelType.TENSORFLOW, content).score(ROWS).result, [2.0, -1.0])


def two_terminals() -> None:
    source = x(None, 2)
    tf.identity(source[:, 0], "a")
    tf.identity(source[:, 1], "b")


def test_terminals_are_the_outputs_and_one_is_chosen(load: Load) -> None:
    with pytest.raises(ModelRejected) as caught:
        load(ModelType.TENSORFLOW, frozen(two_terminals))
    assert str(caught.value) == (
        "the model has the outputs a, b: say in result_output which one gives the result"
    )
    scores = load(ModelType.TENSORFLOW, frozen(two_terminals), result_output="b").score(ROWS)
    assert list(scores.result) == [2.0, -1.0]
    assert list(scores.outputs["a"]) == [1.0, 3.0]


def test_result_output_may_name_an_operation_inside(load: Load) -> None:
    def build() -> None:
        tf.nn.softmax(weighed(x(None, 2), 3), name="z")

    model = load(ModelType.TENSORFLOW, frozen(build), result_output="y:0")
    assert list(model.score(ROWS).result) == [2.0, 2.0]
    assert list(model.score(ROWS).outputs["y:0[1]"]) == [9.0, -1.0]
    with pytest.raises(ModelRejected) as caught:
        load(ModelType.TENSORFLOW, frozen(build), result_output="nope")
    assert str(caught.value) == (
        "result_output names 'nope', which is not an operation that the graph computes from its input: "
        "choose one of z"
    )


def test_an_operation_of_several_outputs_gives_them_by_number(load: Load) -> None:
    def build() -> None:
        tf.nn.top_k(x(None, 2), 2, name="top")

    model = load(ModelType.TENSORFLOW, frozen(build), result_output="top:0[0]")
    assert list(model.score(ROWS).result) == [2.0, 3.0]
    assert list(model.score(ROWS).outputs["top:1[1]"]) == [0.0, 1.0]


def asserting() -> None:
    source = x(None, 2)
    v1.assert_less(source, 100.0)
    weighed(source, 1)


def summarizing() -> None:
    v1.summary.scalar("mean", tf.reduce_mean(weighed(x(None, 2), 1)))


def printing() -> None:
    source = x(None, 2)
    weighed(v1.Print(source, [source], "seen"), 1)


def printing_in_a_function() -> None:
    @tf.function
    def said(value: object) -> object:
        tf.print("seen", value, output_stream="file:///nonexistent/x")
        return value

    weighed(said(x(None, 2)), 1)


@pytest.mark.parametrize("build", [asserting, summarizing, printing, printing_in_a_function])
def test_what_the_training_left_does_not_matter(load: Load, build: Callable[[], None]) -> None:
    np.testing.assert_array_equal(load(ModelType.TENSORFLOW, frozen(build)).score(ROWS).result, [2.0, -1.0])


def test_the_device_of_the_training_does_not_matter(load: Load) -> None:
    def build() -> None:
        with tf.device("/job:worker/device:GPU:3"):
            weighed(x(None, 2), 1)

    np.testing.assert_array_equal(load(ModelType.TENSORFLOW, frozen(build)).score(ROWS).result, [2.0, -1.0])


def test_text_labels_are_numbered_as_the_graph_does(load: Load) -> None:
    def build() -> None:
        tf.gather(tf.constant(["low", "mid", "high"]), tf.argmax(weighed(x(None, 2), 3), 1), name="label")

    model = load(ModelType.TENSORFLOW, frozen(build))
    scores = model.score(np.vstack([ROWS, [[0.0, 0.0]]]))
    assert (list(scores.labels or ()), list(scores.result)) == (["high", "high", "low"], [2.0, 2.0, 0.0])
    assert description_of(model).classes == ("low", "mid", "high")


def test_tables_are_filled_from_the_constants_of_the_graph(load: Load) -> None:
    def build() -> None:
        keys, values = tf.constant([1, 0], tf.int64), tf.constant(["one", "none"])
        table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), "?")
        table.lookup(tf.cast(x(None, 1)[:, 0], tf.int64), name="label")

    model = load(ModelType.TENSORFLOW, frozen(build), inputs=("other",))
    scores = model.score(np.array([[0.0], [1.0]]))
    assert (list(scores.labels or ()), list(scores.result)) == (["none", "one"], [0.0, 1.0])


def test_an_index_of_the_greatest_is_the_result(load: Load) -> None:
    content = frozen(lambda: tf.argmax(weighed(x(None, 2), 3), 1))
    assert list(load(ModelType.TENSORFLOW, content).score(-ROWS).result) == [0.0, 0.0]


def test_the_model_is_described(load: Load) -> None:
    described = description_of(load(ModelType.TENSORFLOW, frozen(lambda: weighed(x(None, 2), 3))))
    assert described.kind == "TensorFlow frozen graph"
    assert described.evaluator == f"TensorFlow {tf.__version__}"
    assert [(one.name, one.type, one.field) for one in described.inputs] == [
        ("x", "float32 [n, 2]", "first_number"),
        ("x", "float32 [n, 2]", "other"),
    ]
    assert described.outputs == ("y[0]", "y[1]", "y[2]")
