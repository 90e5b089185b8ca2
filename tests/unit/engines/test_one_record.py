"""A single record has tensors that stay in memory, and its scores are those that it has in a batch."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from onnx import helper

from model_serving.core.engine import LoadedModel, RecordSchema, Scores
from model_serving.core.errors import ScoringFailed
from model_serving.core.messages import ModelType
from model_serving.engines.onnx.running import SessionRun
from tests.unit.engines.onnx_builders import FLOAT, TEXT, WHOLE, classifier, model_of, value, weighed

Load = Callable[..., LoadedModel]
RECORDS = np.random.default_rng(3).normal(size=(9, 2))
AXIS = helper.make_tensor("axis", WHOLE, [1], [1])


def alone(model: LoadedModel, records: npt.NDArray[Any]) -> list[Scores]:
    return [model.score(records[place : place + 1]) for place in range(len(records))]


def assert_same(model: LoadedModel, records: npt.NDArray[Any]) -> None:
    """Compares records in a batch with single ones, all of which were scored before the first is compared."""
    together, each = model.score(records), alone(model, records)
    np.testing.assert_array_equal(np.concatenate([one.result for one in each]), together.result)
    assert [one.labels for one in each] == (
        [None] * len(each) if together.labels is None else [[label] for label in together.labels]
    )
    for name, values in together.outputs.items():
        np.testing.assert_array_equal(np.concatenate([one.outputs[name] for one in each]), values)
    assert {one.result.dtype.name for one in each} == {"float64"}


def several_inputs() -> bytes:
    """Takes a matrix, a text, a whole number, and another matrix; gives their sums and the text."""
    nodes = [
        helper.make_node("ReduceSum", ["first", "axis"], ["sum"]),
        helper.make_node("ReduceSum", ["last", "axis"], ["other"]),
        helper.make_node("Cast", ["count"], ["number"], to=FLOAT),
        helper.make_node("Mul", ["sum", "number"], ["product"]),
        helper.make_node("Identity", ["word"], ["label"]),
    ]
    inputs = [
        value("first", None, 2),
        value("word", None, 1, kind=TEXT),
        value("count", None, 1, kind=WHOLE),
        value("last", None, 2),
    ]
    outputs = [value("label", None, 1, kind=TEXT), value("product", None, 1), value("other", None, 1)]
    return model_of(nodes, inputs, outputs, AXIS)


@pytest.mark.parametrize("columns", [1, 3])
@pytest.mark.parametrize("rows", ["n", 1])
def test_numbers(load: Load, columns: int, rows: str | int) -> None:
    assert_same(load(ModelType.ONNX, weighed(columns, rows=rows)), RECORDS)


@pytest.mark.parametrize("labels", [[3, 5, 8], ["bad", "fair", "good"]], ids=["numbers", "text"])
@pytest.mark.parametrize("zip_map", [True, False], ids=["ZipMap", "tensor"])
def test_labels(load: Load, labels: Sequence[Any], zip_map: bool) -> None:
    assert_same(load(ModelType.ONNX, classifier(labels, zip_map)), RECORDS)


def test_several_inputs_of_several_types(load: Load) -> None:
    schema = RecordSchema("Sample", ("a", "b", "c", "d", "e"), ("word",))
    model = load(
        ModelType.ONNX,
        several_inputs(),
        inputs=("a", "b", "word", "c", "d", "e"),
        schema=schema,
        result_output="product",
    )
    records = np.array(
        [[0.5, 1.5, "x", 3.0, -1.0, 2.0], [4.0, 0.25, "yes", 2.0, 9.0, 8.0], [1.0, 1.0, "", 0.0, 7.0, 3.0]],
        dtype=object,
    )
    assert_same(model, records)
    assert [one.result.item() for one in alone(model, records)] == [6.0, 8.5, 0.0]
    assert [one.outputs["other"].item() for one in alone(model, records)] == [1.0, 17.0, 10.0]


def test_later_records_leave_earlier_scores_alone(load: Load) -> None:
    model = load(ModelType.ONNX, weighed(3))
    first = model.score(RECORDS[:1])
    kept = first.result.copy(), {name: values.copy() for name, values in first.outputs.items()}
    for place in range(1, len(RECORDS)):
        model.score(RECORDS[place : place + 1])
    np.testing.assert_array_equal(first.result, kept[0])
    assert {name: list(values) for name, values in first.outputs.items()} == {
        name: list(values) for name, values in kept[1].items()
    }


def test_threads_do_not_disturb_each_other(load: Load) -> None:
    model = load(ModelType.ONNX, weighed(3))
    expected = model.score(RECORDS)

    def score_all(_: int) -> bool:
        found = [one for _ in range(40) for one in alone(model, RECORDS)]
        return all(
            one.result == expected.result[place % len(RECORDS)]
            and one.outputs["y[2]"] == expected.outputs["y[2]"][place % len(RECORDS)]
            for place, one in enumerate(found)
        )

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(score_all, range(8)))


def test_a_number_beyond_the_models_range_is_infinite_without_a_warning(load: Load) -> None:
    model = load(ModelType.ONNX, weighed(1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [one.result.item() for one in alone(model, np.array([[0.0, 1.0], [0.0, 1e300]]))] == [
            1.0,
            np.inf,
        ]


def test_a_record_that_fails_says_why_and_the_next_is_scored(load: Load) -> None:
    content = model_of(
        [helper.make_node("Gather", ["table", "x"], ["y"])],
        [value("x", None, 1, kind=WHOLE)],
        [value("y", None, 1)],
        helper.make_tensor("table", FLOAT, [2], [7.0, 9.0]),
    )
    model = load(ModelType.ONNX, content, inputs=("other",))
    for _ in range(2):
        assert model.score(np.array([[1.0]])).result.item() == 9.0
        with pytest.raises(ScoringFailed, match="indices element out of data bounds"):
            model.score(np.array([[5.0]]))
        with pytest.raises(ScoringFailed, match="takes whole numbers, but a record has another number"):
            model.score(np.array([[0.5]]))
        with pytest.raises(ScoringFailed, match="takes whole numbers, but a record has another number"):
            model.score(np.array([[np.nan]]))
        assert model.score(np.array([[0.0]])).result.item() == 7.0


def test_numbers_are_bound_and_text_is_not(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without this, the tests above could pass without a binding."""
    bound: list[int] = []
    make = SessionRun._bound

    def count(*arguments: Any) -> Any:
        bound.append(1)
        return make(*arguments)

    monkeypatch.setattr(SessionRun, "_bound", count)
    model = load(ModelType.ONNX, weighed(1))
    alone(model, RECORDS)
    assert bound == [1]
    alone(load(ModelType.ONNX, classifier(["bad", "fair", "good"], zip_map=True)), RECORDS)
    assert bound == [1]


def test_a_model_that_gives_other_numbers_each_time_is_scored(load: Load) -> None:
    content = model_of(
        [
            helper.make_node("RandomUniformLike", ["x"], ["noise"], low=0.0, high=1.0),
            helper.make_node("ReduceSum", ["noise", "axis"], ["y"]),
        ],
        [value("x", None, 2)],
        [value("y", None, 1)],
        AXIS,
    )
    found = [one.result.item() for one in alone(load(ModelType.ONNX, content), RECORDS)]
    assert all(0.0 <= each <= 2.0 for each in found)
    assert len(set(found)) == len(found)
