from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import helper

from model_serving.core.engine import LoadedModel
from model_serving.core.errors import ModelRejected, ScoringFailed
from model_serving.core.messages import ModelType, OutputRule
from tests.unit.engines.onnx_builders import (
    DOUBLE,
    FLOAT,
    ROWS,
    WHOLE,
    classifier,
    external,
    model_of,
    scaled,
    value,
    weighed,
)

if TYPE_CHECKING:
    from pathlib import Path

Load = Callable[..., LoadedModel]


@pytest.mark.parametrize("kind", [FLOAT, DOUBLE], ids=["float", "double"])
@pytest.mark.parametrize("rows", ["n", None, 1])
def test_one_column_gives_its_value(load: Load, kind: int, rows: int | str | None) -> None:
    scores = load(ModelType.ONNX, weighed(1, kind, rows)).score(ROWS)
    np.testing.assert_array_equal(scores.result, [2.0, 1.0])
    assert (scores.result.dtype.name, scores.labels, dict(scores.outputs)) == ("float64", None, {})


def test_more_columns_give_the_greatest(load: Load) -> None:
    scores = load(ModelType.ONNX, weighed(3)).score(np.vstack([ROWS, [0.0, 0.0], [math.nan, 1.0]]))
    np.testing.assert_array_equal(scores.result, [2.0, 2.0, 0.0, math.nan])
    assert {name: list(values[:2]) for name, values in scores.outputs.items()} == {
        "y[0]": [6.0, 3.0],
        "y[1]": [9.0, 7.0],
        "y[2]": [12.0, 11.0],
    }


def test_one_tensor_a_field(load: Load) -> None:
    content = model_of(
        [helper.make_node("Add", ["First Number", "OTHER"], ["sum"])],
        [value("OTHER", None, 1), value("First Number", None, 1)],
        [value("sum", None, 1)],
    )
    model = load(ModelType.ONNX, content)
    assert model.fields == ("other", "first_number")
    np.testing.assert_array_equal(model.score(ROWS).result, [3.0, 4.0])


@pytest.mark.parametrize("zip_map", [True, False], ids=["ZipMap", "tensor"])
@pytest.mark.parametrize(
    ("labels", "output", "results"),
    [
        ([3, 5, 8], OutputRule.AUTO, [5.0, 3.0]),
        ([3, 5, 8], OutputRule.VALUE, [5.0, 3.0]),
        ([3, 5, 8], OutputRule.ARGMAX, [1.0, 0.0]),
        (["3", "5", "8"], OutputRule.AUTO, [5.0, 3.0]),
        (["bad", "fair", "good"], OutputRule.AUTO, [1.0, 0.0]),
        (["bad", "fair", "good"], OutputRule.ARGMAX, [1.0, 0.0]),
    ],
)
def test_a_classifier_gives_its_label_or_the_index(
    load: Load, zip_map: bool, labels: Sequence[Any], output: OutputRule, results: list[float]
) -> None:
    scores = load(ModelType.ONNX, classifier(labels, zip_map), output=output).score(ROWS)
    np.testing.assert_array_equal(scores.result, results)
    assert scores.labels == [str(labels[1]), str(labels[0])]
    assert {key: list(values) for key, values in scores.outputs.items()} == {
        f"probability_{labels[0]}": [1.0, 3.0],
        f"probability_{labels[1]}": [2.0, 1.0],
        f"probability_{labels[2]}": [1.5, 2.0],
    }


def test_weights_in_files_are_refused(load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "weights.bin").write_bytes(np.ones(2, np.float32).tobytes())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelRejected, match=r"^the model's weights are in another file .*export it into one"):
        load(ModelType.ONNX, external())


@pytest.mark.parametrize(
    ("content", "output", "text"),
    [
        (
            b"<PMML/>",
            OutputRule.AUTO,
            (
                "ONNX Runtime cannot load the model: the content is not an ONNX model, "
                "export it again as an .onnx file"
            ),
        ),
        (
            weighed(3),
            OutputRule.VALUE,
            "output VALUE needs one output column, but this model has 3: use AUTO or ARGMAX",
        ),
        (
            classifier(["bad", "fair", "good"], zip_map=True),
            OutputRule.VALUE,
            "output VALUE needs labels that spell numbers, not 'bad': use ARGMAX",
        ),
        (
            scaled(value("keep_prob")),
            OutputRule.AUTO,
            (
                "the model's input keep_prob float32 [] takes no batches: export it with the shape (n, k), "
                "or make it a constant if it is the same for all records"
            ),
        ),
    ],
    ids=["no model", "value of three", "value of text", "a setting as an input"],
)
def test_models_that_cannot_serve_are_rejected(
    load: Load, content: bytes, output: OutputRule, text: str
) -> None:
    with pytest.raises(ModelRejected) as caught:
        load(ModelType.ONNX, content, output=output)
    assert str(caught.value) == text


@pytest.mark.parametrize("x", [value("x"), helper.make_tensor_value_info("x", FLOAT, None)])
def test_a_number_alone_is_a_field(load: Load, x: Any) -> None:
    content = model_of([helper.make_node("Add", ["x", "x"], ["y"])], [x], [value("y")])
    model = load(ModelType.ONNX, content, inputs=("other",))
    np.testing.assert_array_equal(model.score(np.array([[1.0], [3.0]])).result, [2.0, 6.0])


def test_an_error_while_scoring_is_the_batchs(load: Load) -> None:
    content = model_of(
        [helper.make_node("Gather", ["table", "x"], ["y"])],
        [value("x", None, 1, kind=WHOLE)],
        [value("y", None, 1)],
        helper.make_tensor("table", FLOAT, [2], [7.0, 9.0]),
    )
    model = load(ModelType.ONNX, content, inputs=("other",))
    np.testing.assert_array_equal(model.score(np.array([[1.0], [0.0]])).result, [9.0, 7.0])
    with pytest.raises(ScoringFailed, match=r"^ONNX Runtime failed: .*indices element out of data bounds"):
        model.score(np.array([[2.0]]))


def test_the_models_made_here_are_valid() -> None:
    onnx.checker.check_model(onnx.load_model_from_string(classifier([3, 5, 8], zip_map=True)))
