"""Which field goes into which input, and what the tensors look like."""

from __future__ import annotations

import math

import numpy as np
import pytest

from model_serving.core.engine import RecordSchema
from model_serving.core.errors import ModelRejected, ScoringFailed
from model_serving.engines.tensors.inputs import TensorInput
from model_serving.engines.tensors.pairing import plan_inputs

FLOAT = np.dtype("float32")
WHOLE = np.dtype("int32")
PLACE = RecordSchema("Place", ("u", "v", "zone"), ("city", "kind"))


def tensor(name: str, *shape: int | None, dtype: np.dtype[np.generic] | None = FLOAT) -> TensorInput:
    return TensorInput(name, dtype, shape or None)


def text(name: str, *shape: int | None) -> TensorInput:
    return tensor(name, *shape, dtype=None)


def taken(
    tensors: list[TensorInput], given: tuple[str, ...], schema: RecordSchema, *, ordered: bool
) -> dict[str, tuple[str, ...]]:
    planned = plan_inputs(tensors, given, schema, ordered=ordered)
    return {part.tensor.name: tuple(planned.fields[place] for place in part.places) for part in planned.parts}


@pytest.mark.parametrize("ordered", [True, False], ids=["with an order", "without"])
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
        ([tensor("other", None), tensor("First-Number", None, 1)], (), ("other", "first_number")),
        ([text("colour", None), tensor("other", None)], (), ("colour", "other")),
        ([tensor("x", None, 2, 1)], (), ("first_number", "other")),
        ([tensor("x", None, 1, 2)], (), ("first_number", "other")),
        ([tensor("x", None, None, 1)], ("other",), ("other",)),
        ([tensor("x", None, 2, 2)], ("other", "other", "other", "first_number"), ("other", "first_number")),
        ([text("x", None, 1)], (), ("colour",)),
        ([tensor("x", None, 2), text("word", None, 1)], (), ("first_number", "other", "colour")),
    ],
)
def test_fields_are_found(
    schema: RecordSchema,
    tensors: list[TensorInput],
    given: tuple[str, ...],
    fields: tuple[str, ...],
    ordered: bool,
) -> None:
    assert plan_inputs(tensors, given, schema, ordered=ordered).fields == fields


def test_a_lone_text_input_takes_the_text_field_and_not_the_only_number() -> None:
    schema = RecordSchema("Place", ("u",), ("city",))
    assert plan_inputs([text("word", None, 1)], (), schema).fields == ("city",)


@pytest.mark.parametrize(
    ("tensors", "given", "expected"),
    [
        (
            [tensor("width", None, 1), tensor("height", None, 1)],
            ("u", "v"),
            {"width": ("u",), "height": ("v",)},
        ),
        ([tensor("b", None), tensor("a", None)], ("u", "v"), {"b": ("u",), "a": ("v",)}),
        ([tensor("v", None), tensor("u", None)], ("u", "v"), {"v": ("v",), "u": ("u",)}),
        ([tensor("x", None, 2), tensor("y", None, 1)], (), {"x": ("u", "v"), "y": ("zone",)}),
        ([tensor("zone", None, 1), tensor("x", None, 2)], (), {"zone": ("zone",), "x": ("u", "v")}),
        (
            [tensor("wide", None, 2), tensor("deep", None, 3)],
            ("u", "v", "v", "zone", "u"),
            {"wide": ("u", "v"), "deep": ("v", "zone", "u")},
        ),
        (
            [tensor("numbers", None, None), text("words", None, 2), tensor("other", None, 1)],
            ("u", "v", "zone", "city", "kind"),
            {"numbers": ("u", "v"), "words": ("city", "kind"), "other": ("zone",)},
        ),
    ],
    ids=[
        "other names: by order",
        "never by alphabet",
        "own names: by name",
        "by widths",
        "a name first",
        "a field twice",
        "text to text",
    ],
)
def test_several_inputs_with_an_order(
    tensors: list[TensorInput], given: tuple[str, ...], expected: dict[str, tuple[str, ...]]
) -> None:
    assert taken(tensors, given, PLACE, ordered=True) == expected


@pytest.mark.parametrize(
    ("tensors", "given"),
    [
        ([tensor("width", None, 1), tensor("height", None, 1)], ("u", "v")),
        ([tensor("wide", None, 1), tensor("deep", None, 2)], ()),
        ([tensor("left", None, 2), tensor("right", None, 2)], ("u", "v", "v", "zone")),
    ],
)
def test_several_inputs_without_an_order_are_refused(
    tensors: list[TensorInput], given: tuple[str, ...]
) -> None:
    with pytest.raises(ModelRejected, match=r"^the model has several inputs and no order of them: "):
        plan_inputs(tensors, given, PLACE)


def test_what_leaves_no_choice_needs_no_order() -> None:
    found = taken([tensor("cont", None, 2), tensor("zone", None)], ("zone", "u", "v"), PLACE, ordered=False)
    assert found == {"cont": ("u", "v"), "zone": ("zone",)}


@pytest.mark.parametrize(
    ("tensors", "given", "words"),
    [
        ([], (), "the model has no input"),
        (
            [tensor("x", None, 3)],
            (),
            (
                "the model's input x float32 [n, 3] takes 3 fields, Sample has 2 (first_number, other): "
                "name the fields in inputs, in the order in which the model takes them"
            ),
        ),
        (
            [tensor("x", None, 3)],
            ("other",),
            (
                "inputs names 1 fields (other), but the model takes 3: x float32 [n, 3]: "
                "name the fields in the order in which the model takes them"
            ),
        ),
        (
            [TensorInput("keep_prob", FLOAT, ())],
            (),
            (
                "the model's input keep_prob float32 [] takes no batches: export it with the shape (n, k), "
                "or make it a constant if it is the same for all records"
            ),
        ),
        (
            [tensor("x", 4, 1), tensor("other", 3)],
            ("first_number", "other"),
            (
                "the model's inputs have different batch sizes: x float32 [4, 1]; other float32 [3]: "
                "export them as (n, k)"
            ),
        ),
        (
            [tensor("x", None, 1, 1, 2), tensor("y", None, None, None)],
            (),
            (
                "the model's input y float32 [n, n, n] has several sizes that it leaves open: "
                "export it as (n, k)"
            ),
        ),
        (
            [tensor("x", None, 2, dtype=np.dtype("complex64"))],
            (),
            "the model's input x complex64 [n, 2] is neither a number nor text: export it with floats",
        ),
        (
            [tensor("x", None), tensor("y", None)],
            ("other",),
            (
                "inputs names 1 fields (other), but the model takes 2: x float32 [n]; y float32 [n]: "
                "name the fields in the order in which the model takes them"
            ),
        ),
        (
            [tensor("other", None), tensor("y", None)],
            ("first_number", "other"),
            (
                "the model's input other would get the field first_number, by the order of its inputs "
                "(other float32 [n]; y float32 [n]): name the fields in inputs in this order"
            ),
        ),
        (
            [tensor("colour", None), tensor("other", None)],
            (),
            "the model's input colour float32 [n] does not take 'colour' of Sample, which is text",
        ),
        (
            [tensor("x", None, 2)],
            ("colour", "other"),
            "the model's input x float32 [n, 2] does not take 'colour' of Sample, which is text",
        ),
        (
            [text("x", None, 2)],
            (),
            (
                "the model's input x text [n, 2] takes 2 text fields, Sample has 1 (colour): "
                "name the fields in inputs, in the order in which the model takes them"
            ),
        ),
        (
            [tensor("pressure", None), tensor("other", None), tensor("more", None)],
            (),
            (
                "the model needs the field 'pressure', which Sample does not have "
                "(it has first_number, other, colour): name the fields in inputs, in the order in which the "
                "model takes them, or start the job with another --record-type"
            ),
        ),
        (
            [tensor("x", None, 2), tensor("mean", None, 2)],
            (),
            (
                "x float32 [n, 2]; mean float32 [n, 2] together take 4 fields, Sample has 2 (first_number, "
                "other): name the fields in inputs, in the order in which the model takes them"
            ),
        ),
    ],
)
def test_what_does_not_fit_is_rejected(
    schema: RecordSchema, tensors: list[TensorInput], given: tuple[str, ...], words: str
) -> None:
    with pytest.raises(ModelRejected) as caught:
        plan_inputs(tensors, given, schema, ordered=True)
    assert str(caught.value) == words


def test_rows_of_a_window_must_be_named() -> None:
    schema = RecordSchema("Window", ("a", "b", "c", "d"))
    window = [tensor("x", None, 2, 2)]
    with pytest.raises(ModelRejected, match="name the 4 fields in inputs, row by row"):
        plan_inputs(window, (), schema)
    (feed,) = plan_inputs(window, ("a", "b", "c", "d"), schema).feeds(np.array([[1.0, 2.0, 3.0, 4.0]]))
    assert feed.tolist() == [[[1.0, 2.0], [3.0, 4.0]]]


def test_a_matrix_gets_all_columns_in_its_type(schema: RecordSchema) -> None:
    (feed,) = plan_inputs([tensor("x", None, 2)], (), schema).feeds(np.array([[1.0, 2.0], [math.nan, 4.0]]))
    np.testing.assert_array_equal(feed, np.array([[1.0, 2.0], [math.nan, 4.0]], dtype=np.float32))
    assert (feed.dtype, feed.flags.c_contiguous) == (FLOAT, True)


def test_columns_get_the_shape_that_their_tensors_want(schema: RecordSchema) -> None:
    planned = plan_inputs([text("colour", None, 1), tensor("other", None, dtype=WHOLE)], (), schema)
    words, numbers = planned.feeds(np.array([["red", 2.0], ["", 4.0]], dtype=object))
    assert (words.tolist(), numbers.tolist(), numbers.dtype) == ([["red"], [""]], [2, 4], WHOLE)


@pytest.mark.parametrize("shape", [(None, 2, 1), (None, 1, 2)])
def test_windows_get_their_shape(schema: RecordSchema, shape: tuple[int | None, ...]) -> None:
    (feed,) = plan_inputs([tensor("x", *shape)], (), schema).feeds(np.ones((3, 2)))
    assert feed.shape == (3, *shape[1:])


@pytest.mark.parametrize("dtype", ["float16", "float64", "int8", "uint64", "bool"])
def test_numbers_get_the_type_of_their_tensor(schema: RecordSchema, dtype: str) -> None:
    (feed,) = plan_inputs([tensor("x", None, 2, dtype=np.dtype(dtype))], (), schema).feeds(np.eye(2))
    np.testing.assert_array_equal(feed, np.eye(2, dtype=dtype), strict=True)


@pytest.mark.parametrize("value", [2.5, math.nan, math.inf, 3e9])
def test_what_is_no_whole_number_of_the_type_fails(schema: RecordSchema, value: float) -> None:
    planned = plan_inputs([tensor("x", None, 2, dtype=WHOLE)], (), schema)
    with pytest.raises(ScoringFailed) as caught:
        planned.feeds(np.array([[1.0, value]]))
    assert (
        str(caught.value)
        == "the model's input x int32 [n, 2] takes whole numbers, but a record has another number"
    )


@pytest.mark.parametrize("value", [2.0, 0.5, math.nan])
def test_what_is_neither_true_nor_false_fails(schema: RecordSchema, value: float) -> None:
    planned = plan_inputs([tensor("x", None, 2, dtype=np.dtype("bool"))], (), schema)
    with pytest.raises(ScoringFailed, match="takes 0 and 1, but a record has another number"):
        planned.feeds(np.array([[1.0, value]]))


def test_doubles_and_texts_are_told_apart() -> None:
    tensors = [tensor("u", None, 1, dtype=np.dtype("float64")), text("city", None), tensor("v", None, 1)]
    planned = plan_inputs(tensors, (), RecordSchema("Place", ("u", "v"), ("city",)))
    u, city, v = planned.feeds(np.array([[1.5, "Bern", 2.5]], dtype=object))
    assert (u.dtype, u.tolist()) == (np.dtype("float64"), [[1.5]])
    assert (v.dtype, v.tolist()) == (np.dtype("float32"), [[2.5]])
    assert (city.dtype, city.tolist()) == (np.dtype(object), ["Bern"])


def test_constants_that_an_exporter_left_as_inputs_are_named() -> None:
    """Keras 3: ``model.export("model.onnx", format="onnx")`` with an adapted Normalization."""
    tensors = [tensor("x", None, 3), tensor("norm/Sub/y:0", 1, 3), tensor("norm/Sqrt/x:0", 1, 3)]
    with pytest.raises(ModelRejected) as refused:
        plan_inputs(tensors, (), PLACE, ordered=True)
    assert str(refused.value).startswith(
        "the model's inputs norm/Sub/y:0 float32 [1, 3]; norm/Sqrt/x:0 float32 [1, 3] have no rows"
    )
    # With fields for them, such inputs are fed record by record.
    assert plan_inputs([tensor("u", None, 1), tensor("v", 1, 1)], (), PLACE, ordered=True).batch == 1
