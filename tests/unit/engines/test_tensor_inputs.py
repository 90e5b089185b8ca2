from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from model_serving.core.errors import ModelRejected, ScoringFailed
from model_serving.engines.tensors.inputs import TensorInput, plan_inputs

if TYPE_CHECKING:
    from model_serving.core.engine import RecordSchema

FLOAT = np.dtype("float32")
WHOLE = np.dtype("int32")


def tensor(name: str, *shape: int | None, dtype: np.dtype[np.generic] | None = FLOAT) -> TensorInput:
    return TensorInput(name, dtype, shape or None)


@pytest.mark.parametrize(
    ("tensors", "given", "fields"),
    [
        ([tensor("x", None, 2)], (), ("first_number", "other")),
        ([tensor("x", None, None)], (), ("first_number", "other")),
        ([tensor("x")], (), ("first_number", "other")),
        ([tensor("x")], ("Other",), ("other",)),
        ([tensor("x", None, 2)], ("other", "first number"), ("other", "first_number")),
        ([tensor("x", None, 1)], ("other",), ("other",)),
        ([tensor("x", None)], ("other",), ("other",)),
        ([tensor("other", None)], (), ("other",)),
        ([tensor("other", None, 1)], (), ("other",)),
        ([tensor("other", None), tensor("First-Number", None, 1)], (), ("first_number", "other")),
        ([tensor("b", None), tensor("a", None)], ("other", "first_number"), ("other", "first_number")),
        ([tensor("colour", None, dtype=None), tensor("other", None)], (), ("colour", "other")),
    ],
)
def test_fields_are_found(
    schema: RecordSchema, tensors: list[TensorInput], given: tuple[str, ...], fields: tuple[str, ...]
) -> None:
    assert plan_inputs(tensors, given, schema).fields == fields


@pytest.mark.parametrize(
    ("tensors", "given", "text"),
    [
        ([], (), "the model has no input"),
        (
            [tensor("x", None, 3)],
            (),
            (
                "the model's input x float32 [n, 3] takes 3 fields, Sample has 2 (first_number, other): "
                "name the fields in inputs, in the order that the model takes them"
            ),
        ),
        (
            [tensor("x", None, 3)],
            ("other",),
            (
                "the model's input x float32 [n, 3] takes 3 fields, inputs names 1 (other): "
                "name the fields in inputs, in the order that the model takes them"
            ),
        ),
        (
            [tensor("x", 7, 2)],
            (),
            "the model's input x float32 [7, 2] does not take batches of any size: export it as (n, k)",
        ),
        (
            [tensor("x", None, 2, 2)],
            (),
            "the model's input x float32 [n, 2, 2] has more than two dimensions: records are flat",
        ),
        (
            [tensor("x", None, 2, dtype=np.dtype("complex64"))],
            (),
            "the model's input x complex64 [n, 2] is neither a number nor text: export it with floats",
        ),
        (
            [tensor("x", None, 2), tensor("y", None)],
            (),
            "several inputs must take one field each, but this model has x float32 [n, 2]; y float32 [n]",
        ),
        (
            [tensor("x", None), tensor("y", None)],
            ("other",),
            "inputs names 1 fields, but the model takes 2: x float32 [n]; y float32 [n]",
        ),
        (
            [tensor("colour", None), tensor("other", None)],
            (),
            "the model's input colour float32 [n] does not take 'colour' of Sample, which is text",
        ),
        (
            [tensor("x", None, 2, dtype=None)],
            (),
            "the model's input x text [n, 2] does not take 'first_number' of Sample, which is a number",
        ),
        (
            [tensor("pressure", None), tensor("other", None)],
            (),
            (
                "the model needs the field 'pressure', which Sample does not have "
                "(it has first_number, other, colour): "
                "rename the model's input, or start the job with another --record-type"
            ),
        ),
    ],
)
def test_what_does_not_fit_is_rejected(
    schema: RecordSchema, tensors: list[TensorInput], given: tuple[str, ...], text: str
) -> None:
    with pytest.raises(ModelRejected) as caught:
        plan_inputs(tensors, given, schema)
    assert str(caught.value) == text


def test_a_matrix_gets_all_columns_in_its_type(schema: RecordSchema) -> None:
    (feed,) = plan_inputs([tensor("x", None, 2)], (), schema).feeds(np.array([[1.0, 2.0], [math.nan, 4.0]]))
    np.testing.assert_array_equal(feed, np.array([[1.0, 2.0], [math.nan, 4.0]], dtype=np.float32))
    assert (feed.dtype, feed.flags.c_contiguous) == (FLOAT, True)


def test_columns_get_the_shape_that_their_tensors_want(schema: RecordSchema) -> None:
    planned = plan_inputs(
        [tensor("colour", None, 1, dtype=None), tensor("other", None, dtype=WHOLE)], (), schema
    )
    text, numbers = planned.feeds(np.array([["red", 2.0], ["", 4.0]], dtype=object))
    assert (text.tolist(), numbers.tolist(), numbers.dtype) == ([["red"], [""]], [2, 4], WHOLE)


@pytest.mark.parametrize("value", [2.5, math.nan, math.inf, 3e9])
def test_what_is_no_whole_number_of_the_type_fails(schema: RecordSchema, value: float) -> None:
    planned = plan_inputs([tensor("x", None, 2, dtype=WHOLE)], (), schema)
    with pytest.raises(ScoringFailed) as caught:
        planned.feeds(np.array([[1.0, value]]))
    assert (
        str(caught.value)
        == "the model's input x int32 [n, 2] takes whole numbers, but a record has another number"
    )
