"""Models that fail for a category which they do not know, as scikit-learn's OneHotEncoder does by default."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from model_serving.core.engine import LoadedModel, RecordSchema, first_row_of
from model_serving.core.errors import ScoringFailed
from model_serving.core.guarded import GuardedModel
from model_serving.core.messages import ModelType
from tests.unit.engines.onnx_builders import of_categories

Load = Callable[..., LoadedModel]

SCHEMA = RecordSchema("Sample", ("floor",), ("city", "level"))
FIELDS = of_categories(level=("low", "high"), floor=(3, 5), city=("Bern", "Ulm"))


def row(level: str, floor: float, city: str) -> list[object]:
    return [level, floor, city]


def test_the_model_is_tried_with_categories_that_it_knows(load: Load) -> None:
    model = load(ModelType.ONNX, FIELDS, schema=SCHEMA)
    assert model.fields == ("level", "floor", "city")
    first = first_row_of(GuardedModel(model), SCHEMA)
    assert first.tolist() == [row("low", 3.0, "Bern")]
    assert model.score(first).result.tolist() == [111.0]
    records = np.array([row("high", 3.0, "Bern"), row("low", 5.0, "Ulm")], dtype=object)
    assert model.score(records).result.tolist() == [110.0, 1.0]


@pytest.mark.parametrize("count", [1, 3])
def test_a_record_with_another_category_fails_in_plain_words(load: Load, count: int) -> None:
    model = load(ModelType.ONNX, FIELDS, schema=SCHEMA)
    with pytest.raises(ScoringFailed, match=r"^a record has a category that the model does not know: "):
        model.score(np.array([row("low", 3.0, "Oslo")] * count, dtype=object))


def test_zeros_are_tried_where_they_are_categories(load: Load) -> None:
    model = load(ModelType.ONNX, of_categories(floor=(2, 0)), schema=SCHEMA)
    assert first_row_of(model, SCHEMA).tolist() == [[0.0]]


def test_a_category_given_to_the_wrong_field_is_taken_back(load: Load) -> None:
    names = ("first", "second", "third")
    # Zero is a category of the first field, until the field is given one of another.
    content = of_categories(second=(4, 5), first=(0, 1), third=(4, 7))
    schema = RecordSchema("Sample", names)
    model = load(ModelType.ONNX, content, inputs=names, schema=schema)
    assert (model.fields, first_row_of(model, schema).tolist()) == (names, [[0.0, 4.0, 4.0]])
