"""Models whose answer for a record depends on others, or on chance, are found out when they are loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx import helper

from model_serving.core.engine import LoadedModel, description_of
from model_serving.core.errors import ModelRejected
from model_serving.core.messages import ModelType
from model_serving.engines.tensors.independence import BY_CHANCE, TOGETHER
from tests.unit.engines.onnx_builders import FLOAT, WHOLE, model_of, value, weighed

Load = Callable[..., LoadedModel]

ROWS = np.array([[1.0, 2.0], [3.0, 1.0], [-1.0, 0.5], [0.0, 0.0]])
SUMS = ROWS @ [1.0, 10.0]


def summed(*before: Any, constants: tuple[Any, ...] = ()) -> bytes:
    """Returns a model that makes ``d`` of its input ``x``: the first of it plus ten times the other."""
    weights = helper.make_tensor("w", FLOAT, [2, 1], [1.0, 10.0])
    nodes = [*before, helper.make_node("MatMul", ["d", "w"], ["y"])]
    return model_of(nodes, [value("x", "n", 2)], [value("y", "n", 1)], weights, *constants)


def less_the_mean() -> bytes:
    mean = helper.make_node("ReduceMean", ["x"], ["m"], axes=[0], keepdims=1)
    return summed(mean, helper.make_node("Sub", ["x", "m"], ["d"]))


def running_sum(*, reverse: bool) -> bytes:
    axis = helper.make_tensor("axis", WHOLE, [], [0])
    node = helper.make_node("CumSum", ["x", "axis"], ["d"], reverse=int(reverse))
    return summed(node, constants=(axis,))


def with_noise() -> bytes:
    noise = helper.make_node("RandomNormalLike", ["x"], ["r"], scale=10.0)
    return summed(noise, helper.make_node("Add", ["x", "r"], ["d"]))


@pytest.mark.parametrize("reverse", [False, True])
def test_records_that_depend_on_each_other_are_scored_one_at_a_time(load: Load, *, reverse: bool) -> None:
    model = load(ModelType.ONNX, running_sum(reverse=reverse))
    assert TOGETHER in description_of(model).notes
    np.testing.assert_allclose(model.score(ROWS).result, SUMS)


def test_a_record_has_the_same_score_in_every_batch(load: Load) -> None:
    model = load(ModelType.ONNX, less_the_mean())
    assert TOGETHER in description_of(model).notes
    alone = [model.score(ROWS[place : place + 1]).result.item() for place in range(len(ROWS))]
    assert model.score(ROWS).result.tolist() == alone


def test_a_model_that_is_left_to_chance_says_so(load: Load) -> None:
    assert BY_CHANCE in description_of(load(ModelType.ONNX, with_noise())).notes


@pytest.mark.parametrize("columns", [1, 3])
def test_usual_models_are_scored_in_batches(load: Load, columns: int) -> None:
    assert description_of(load(ModelType.ONNX, weighed(columns))).notes == ()


@pytest.mark.parametrize(
    ("opset", "ir_version", "text"),
    [
        (999, 8, r"^the model has the opset 999, but ONNX Runtime here knows only up to (\d+): .* opset \1$"),
        (
            17,
            99,
            r"^the model has the IR version 99, but ONNX Runtime here knows only up to (\d+): .* to \1$",
        ),
    ],
)
def test_a_model_that_is_too_new_is_refused_in_words(
    load: Load, opset: int, ir_version: int, text: str
) -> None:
    graph = helper.make_graph(
        [helper.make_node("Neg", ["x"], ["y"])], "graph", [value("x", "n", 2)], [value("y", "n", 2)]
    )
    opsets = [helper.make_opsetid("", opset)]
    content = helper.make_model(graph, opset_imports=opsets, ir_version=ir_version).SerializeToString()
    with pytest.raises(ModelRejected, match=text):
        load(ModelType.ONNX, content)


def test_outputs_that_cannot_be_read_are_named_with_their_types(load: Load) -> None:
    node = helper.make_node("SequenceConstruct", ["x"], ["parts"])
    output = helper.make_tensor_sequence_value_info("parts", FLOAT, None)
    with pytest.raises(
        ModelRejected, match=r"only parts \(seq\(tensor\(float\)\)\): export it with a tensor"
    ):
        load(ModelType.ONNX, model_of([node], [value("x", "n", 2)], [output]))
