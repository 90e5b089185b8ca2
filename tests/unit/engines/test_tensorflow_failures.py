"""A model that no record could be scored with is refused; one that fails for some values is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from model_serving.core.errors import ModelRejected, ScoringFailed
from model_serving.core.messages import ModelType
from tests.unit.engines.tensorflow_builders import ROWS, Load, frozen, saved_function, tf, v1, x

if TYPE_CHECKING:
    from pathlib import Path

ANY = tf.TensorSpec((None, None), tf.float32, "x")


def other_width(x: Any) -> Any:
    return {"y": tf.matmul(x, tf.ones((5, 1)))}


def other_width_in_a_loop(x: Any) -> Any:
    found = tf.zeros_like(x)
    for _ in tf.range(2):
        found += tf.matmul(x, tf.ones((5, 5)))
    return {"y": found[:, 0]}


def other_shape(x: Any) -> Any:
    return {"y": tf.reshape(x, (-1, 3))[:, 0]}


def wanted_width(x: Any) -> Any:
    return {"y": tf.ensure_shape(x, (None, 7))[:, 0]}


@pytest.mark.parametrize("serve", [other_width, other_width_in_a_loop, other_shape, wanted_width])
def test_another_number_of_fields_than_the_model_takes_is_final(
    load: Load, tmp_path: Path, serve: Callable[..., Any]
) -> None:
    with pytest.raises(ModelRejected, match=r"^trying the model with zeros: TensorFlow failed: Invalid"):
        load(ModelType.TENSORFLOWSAVED, saved_function(tmp_path, serve, ANY))


def test_a_variable_without_a_value_is_final(load: Load) -> None:
    def build() -> None:
        tf.matmul(x(None, 2), v1.get_variable("w", (2, 1), use_resource=False), name="y")

    with pytest.raises(
        ModelRejected, match="FailedPreconditionError: Attempting to use uninitialized value w"
    ):
        load(ModelType.TENSORFLOW, frozen(build))


def positive(x: Any) -> Any:
    tf.debugging.assert_positive(x)
    return {"y": x[:, 0]}


def from_a_list(x: Any) -> Any:
    return {"y": tf.gather([5.0, 6.0], tf.cast(x[:, 0], tf.int32) - 1)}


@pytest.mark.parametrize(("serve", "expected"), [(positive, 1.0), (from_a_list, 5.0)])
def test_a_failure_of_the_values_is_the_records(
    load: Load, tmp_path: Path, serve: Callable[..., Any], expected: float
) -> None:
    model = load(ModelType.TENSORFLOWSAVED, saved_function(tmp_path, serve, ANY))
    assert list(model.score(np.array([[1.0, 1.0]])).result) == [expected]
    with pytest.raises(ScoringFailed, match=r"^TensorFlow failed: InvalidArgumentError"):
        model.score(-ROWS)


def from_text(colour: Any) -> Any:
    return {"y": tf.strings.to_number(colour)[:, 0]}


def test_a_text_that_is_not_a_number_is_the_records(load: Load, tmp_path: Path) -> None:
    spec = tf.TensorSpec((None, 1), tf.string, "colour")
    model = load(ModelType.TENSORFLOWSAVED, saved_function(tmp_path, from_text, spec))
    assert list(model.score(np.array([["2.5"]], dtype=object)).result) == [2.5]
    with pytest.raises(ScoringFailed, match="StringToNumberOp could not correctly convert string: red"):
        model.score(np.array([["red"]], dtype=object))


def of_unstated_width(x: Any) -> Any:
    picked = tf.gather(tf.eye(3), tf.cast(x[:, 0], tf.int32) - 1)
    return {"y": tf.reshape(picked, tf.stack([tf.shape(x)[0], tf.size(picked) // tf.shape(x)[0]]))}


def test_other_records_tell_the_width_where_zeros_fail(load: Load, tmp_path: Path) -> None:
    model = load(ModelType.TENSORFLOWSAVED, saved_function(tmp_path, of_unstated_width, ANY))
    assert list(model.score(np.array([[3.0, 0.0], [1.0, 0.0]])).result) == [2.0, 0.0]
