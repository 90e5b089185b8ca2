"""Watching fields: the reference from examples or from the first records, texts and missing values."""

from __future__ import annotations

import math

import numpy as np
import pytest

from model_serving.core.admission.admission import Admission
from model_serving.core.messages import Example
from model_serving.core.state import decode_model, encode_model
from model_serving.core.statistics.fields import drift_of
from model_serving.core.statistics.watch import MOST_WATCHED, REFERENCE_RECORDS, FieldWatch, encode_reference
from tests.unit.core.carrying_out import OneDataType, deploy, offer

RANDOM = np.random.default_rng(7)


def test_the_first_records_are_the_reference_and_are_not_compared_with_themselves() -> None:
    watch = FieldWatch(("x", "y"))
    first = RANDOM.normal(size=(REFERENCE_RECORDS + 50, 2))
    watch.add(first[:600])
    assert watch.needs == 400
    assert [one.reference for one in watch.fields()] == [None, None]
    assert watch.fields()[0].count == 600
    watch.add(first[600:])
    x, _ = watch.fields()
    assert (watch.needs, watch.size, x.count) == (0, 0, 50)
    assert x.reference is not None
    assert (x.reference.source, x.reference.count) == ("records", REFERENCE_RECORDS)
    assert x.reference.sum == pytest.approx(first[:REFERENCE_RECORDS, 0].sum())
    assert sum(x.reference.bins) == REFERENCE_RECORDS
    assert sum(x.bins) == 50


def test_a_field_that_shifts_has_drifted_and_the_other_has_not() -> None:
    watch = FieldWatch(("x", "y"))
    watch.add(RANDOM.normal(size=(REFERENCE_RECORDS, 2)))
    watch.add(RANDOM.normal((2.0, 0.0), size=(2000, 2)))
    x, y = drift_of(watch.fields())
    assert (x.drifted, y.drifted) == (True, False)


def test_missing_values_are_counted_beside_the_bins() -> None:
    watch = FieldWatch(("x", "y"))
    rows = np.ones((REFERENCE_RECORDS, 2))
    rows[:100, 0] = math.nan
    watch.add(rows)
    watch.add(np.array([[math.nan, 1.0], [math.inf, 2.0], [3.0, 4.0]]))
    x, y = watch.fields()
    assert x.reference is not None
    assert (x.reference.missing, x.missing, x.count, x.sum, sum(x.bins)) == (100, 2, 3, 3.0, 1)
    assert (y.missing, y.sum, sum(y.bins)) == (0, 7.0, 3)


def test_of_a_text_only_missing_values_are_counted() -> None:
    watch = FieldWatch(("colour", "x"))
    watch.add(np.array([["red", 1.0]] * REFERENCE_RECORDS, object))
    watch.add(np.array([["", 1.0], ["white", math.nan]], object))
    colour, x = watch.fields()
    assert (colour.count, colour.missing, colour.reference) == (2, 1, None)
    assert (x.missing, sum(x.bins)) == (1, 1)


def test_a_field_that_is_always_missing_has_no_index() -> None:
    watch = FieldWatch(("x",))
    watch.add(np.full((REFERENCE_RECORDS + 500, 1), math.nan))
    (drift,) = drift_of(watch.fields())
    assert drift.index is None
    assert drift.missing_share == 1.0


def test_a_wide_model_has_its_first_fields_watched() -> None:
    watch = FieldWatch([f"f{number}" for number in range(MOST_WATCHED + 9)])
    watch.add(np.ones((3, MOST_WATCHED + 9)))
    assert len(watch.fields()) == MOST_WATCHED


def test_thirty_examples_are_the_reference() -> None:
    examples = [np.array([[float(number), 2.0]]) for number in range(30)]
    reference = encode_reference(("x", "y"), examples)
    watch = FieldWatch(("x", "y"), reference)
    assert watch.needs == 0
    watch.add(np.array([[3.0, 2.0]]))
    x, y = watch.fields()
    assert x.reference is not None
    assert (x.reference.source, x.reference.count, x.reference.sum) == ("examples", 30, 435.0)
    assert x.reference.bins == (3,) * 10
    assert (x.count, sum(x.bins)) == (1, 1)
    assert y.edges[-1] == 2.0


def test_fewer_examples_are_none() -> None:
    assert encode_reference(("x",), [np.ones((1, 1))] * 29) == ""
    assert encode_reference((), [np.ones((1, 0))] * 40) == ""


def test_a_reference_of_other_fields_is_left_alone() -> None:
    reference = encode_reference(("x",), [np.ones((1, 1))] * 30)
    assert FieldWatch(("y",), reference).needs == REFERENCE_RECORDS


def test_a_text_in_the_examples_is_known_as_one() -> None:
    reference = encode_reference(("colour",), [np.array([["red"]], object)] * 30)
    watch = FieldWatch(("colour",), reference)
    watch.add(np.array([[""]], object))
    (colour,) = watch.fields()
    assert (colour.count, colour.missing, colour.reference) == (1, 1, None)


def test_the_examples_of_a_message_come_with_its_model(admission: Admission, kept: OneDataType) -> None:
    examples = tuple(Example(f"{number},0,red".encode(), float(number), 0.1) for number in range(40))
    model = offer(admission, deploy("v1", examples=examples), kept).model
    assert model is not None
    assert decode_model(encode_model(model)).reference == model.reference
    watch = FieldWatch(("x", "y"), model.reference)
    reference = watch.fields()[0].reference
    assert reference is not None
    assert reference.count == 40
