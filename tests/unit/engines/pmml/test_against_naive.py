"""Random documents give what a second, naive evaluator says that they give (``tests.naive_pmml``)."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_serving.core.engine import RecordSchema, Scores
from model_serving.core.messages import ModelToServe, ModelType
from model_serving.engines.limits import Limits
from model_serving.engines.pmml.engine import PmmlEngine
from tests.naive_pmml import Answer, Document
from tests.random_pmml import CLASSES, NUMBERS, TEXTS, random_document, random_record

SCHEMA = RecordSchema("Random", NUMBERS, TEXTS)
ROWS = 20
RELATIVE, ABSOLUTE = 1e-9, 1e-9


@pytest.mark.parametrize("classifies", [True, False], ids=["classification", "regression"])
@pytest.mark.parametrize("kind", ["TreeModel", "RegressionModel", "MiningModel"])
@settings(derandomize=True, max_examples=40, deadline=None, database=None)
@given(seed=st.integers(0, 2**32))
def test_a_random_document_gives_what_the_standard_says(kind: str, classifies: bool, seed: int) -> None:
    rng = Random(seed)
    content = random_document(rng, kind, classifies=classifies)
    records = [random_record(rng, huge=kind == "TreeModel") for _ in range(ROWS)]
    model = PmmlEngine(Limits()).load(
        ModelToServe("random", "random", ModelType.PMML, "1", "", content), SCHEMA
    )
    columns = np.empty((ROWS, len(model.fields)), dtype=object)
    for place, record in enumerate(records):
        for column, name in enumerate(model.fields):
            value = record[name]
            missing = "" if name in TEXTS else math.nan
            columns[place, column] = missing if value is None else value
    scores = model.score(columns)
    naive = Document(content)
    for place, record in enumerate(records):
        right, about = naive.answer(record), f"{record} of {content.decode()}"
        assert_same(right, scores, place, about)
        assert_same(right, model.score(columns[place : place + 1]), 0, f"{about}, alone")


def assert_same(right: Answer, scores: Scores, place: int, about: str) -> None:
    """Compares the result, the label, the probabilities and the outputs of one record."""
    result = float(scores.result[place])
    if scores.labels is None:
        assert _close(right.value, result), f"{result} instead of {right.value} for {about}"
    else:
        label = scores.labels[place]
        assert label == (right.value or ""), f"'{label}' instead of {right.value} for {about}"
        assert _close(None if right.value is None else float(str(right.value)), result)
    wanted = dict(right.outputs)
    if scores.labels is not None and right.value is not None:
        wanted |= {f"p{one}": right.probabilities.get(one, 0.0) for one in CLASSES}
    for name, values in scores.outputs.items():
        value = wanted.get(name)
        assert _close(value, float(values[place])), f"{name} is {values[place]}, not {value} for {about}"


def _close(right: object, ours: float) -> bool:
    if right is None or (isinstance(right, float) and math.isnan(right)):
        return math.isnan(ours)
    wanted = float(str(right))
    return wanted == ours or abs(wanted - ours) <= max(ABSOLUTE, RELATIVE * abs(wanted))
