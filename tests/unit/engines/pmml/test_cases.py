"""The minimal documents in ``tests/fixtures/pmml_cases`` give the answers that the standard gives."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from model_serving.core.engine import Scores
from model_serving.core.errors import ModelRejected, ScoringFailed
from tests.pmml_cases import Case, all_cases, columns_of, load_document

CASES = all_cases()
ABSOLUTE = 5e-5  # of what the cases round to four digits; others are compared to 1e-9


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_case_is_right_in_a_batch_and_row_by_row(case: Case) -> None:
    if case.may_be_refused:
        assert_right_or_refused(case)
        return
    model = load_document(case.content)
    columns = columns_of(model, case.content, case.rows)
    together = model.score(np.concatenate([columns, columns]))  # so that one row is a batch too
    for place, right in enumerate(case.right):
        alone = model.score(columns[place : place + 1])
        assert_answer(together, place, right)
        assert_answer(alone, 0, right)
        assert_same(together.rows(np.array([place])), alone)


def assert_right_or_refused(case: Case) -> None:
    try:
        model = load_document(case.content)
        scores = model.score(columns_of(model, case.content, case.rows))
    except (ModelRejected, ScoringFailed):
        return
    for place, right in enumerate(case.right):
        assert_answer(scores, place, right)


def assert_answer(scores: Scores, place: int, right: Any) -> None:
    """Compares with a label (text), a number, None for no result, a list of labels, or several answers."""
    label = None if scores.labels is None else scores.labels[place]
    if right is None:
        assert math.isnan(scores.result[place])
        assert not label
    elif isinstance(right, list):
        assert label in right
    elif isinstance(right, dict):
        assert_answers(scores, place, right)
    elif isinstance(right, str):
        assert label == right
    else:
        assert scores.result[place] == pytest.approx(right, rel=1e-9, abs=1e-12)


def assert_answers(scores: Scores, place: int, right: dict[str, Any]) -> None:
    for name, value in right.items():
        if name in {"label", "result"}:
            assert_answer(scores, place, value)
        elif isinstance(value, list):
            shares = [
                values[place] for key, values in scores.outputs.items() if key.startswith("probability")
            ]
            assert shares[-len(value) :] == pytest.approx(value, abs=ABSOLUTE)
        else:
            assert scores.outputs[name][place] == pytest.approx(value, abs=ABSOLUTE)


def assert_same(one: Scores, other: Scores) -> None:
    assert one.labels == other.labels
    np.testing.assert_allclose(one.result, other.result, rtol=1e-13)
    assert list(one.outputs) == list(other.outputs)
    for name, values in one.outputs.items():
        np.testing.assert_allclose(values, other.outputs[name], rtol=1e-13, atol=1e-15)
