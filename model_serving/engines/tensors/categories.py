"""Finds a record that a model with categories can score.

An encoder may refuse a category that it has not learnt: scikit-learn's OneHotEncoder does, unless it was made
with ``handle_unknown="ignore"``, and so does Keras's StringLookup with ``num_oov_indices=0``. Zeros and empty
texts are no categories, so such a model cannot be tried with them. But it has its categories, and the library
says what failed: one field after the other is given a category, until something else fails or nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from model_serving.core.errors import ScoringFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from model_serving.core.engine import Columns
    from model_serving.engines.tensors.inputs import TensorInputs
    from model_serving.engines.tensors.model import Run

__all__ = ["Category", "row_of_categories"]

Category = str | float
"""A text, or a whole number."""

_MOST_RUNS = 10_000


def row_of_categories(
    run: Run,
    inputs: TensorInputs,
    categories: Sequence[tuple[str, Category]],
    failed: Callable[[BaseException], str],
) -> Columns | None:
    """Returns a row of shape (1, fields) that a model scores which zeros fail for, None if none is found.

    Args:
        run: computes the outputs.
        inputs: the fields, and the tensors that are made from them.
        categories: a category of each encoder, behind what ``failed`` returns when this encoder fails, or
            behind an empty text if nobody knows.
        failed: says what has failed, "" if that cannot be a category.
    """

    def failing(row: Columns) -> str | None:
        try:
            run(inputs.feeds(np.repeat(row, inputs.batch or 1, axis=0)))
        except ScoringFailed as error:
            return failed(error.__cause__ or error)
        return None

    row = inputs.trial()[:1]
    fails = failing(row)
    if not fails:
        return None
    texts = sorted({place for part in inputs.parts if part.tensor.dtype is None for place in part.places})
    numbers = sorted(set(range(row.shape[1])).difference(texts))
    runs = 0
    # The rows that each took a step, the last one on top: a step that leads nowhere is taken back.
    steps = [(row, fails, frozenset[int](), _attempts(categories, fails, texts, numbers))]
    while steps:
        row, fails, given, attempts = steps[-1]
        place, category = next(attempts, (-1, 0.0))
        if place < 0:
            steps.pop()
        elif place not in given:
            runs += 1
            if runs > _MOST_RUNS:
                return None
            tried = row.copy()
            tried[0, place] = category
            now = failing(tried)
            if now is None:
                return tried
            if now not in {fails, ""}:
                steps.append((tried, now, given | {place}, _attempts(categories, now, texts, numbers)))
    return None


def _attempts(
    categories: Sequence[tuple[str, Category]], fails: str, texts: Sequence[int], numbers: Sequence[int]
) -> Iterator[tuple[int, Category]]:
    """Gives what to try, the likeliest first: most exporters have the encoders in the order of the fields."""
    for kind, places in ((str, texts), (float, numbers)):
        alike = [each for each in categories if isinstance(each[1], kind)]
        for rank, (encoder, category) in enumerate(alike):
            if encoder in {fails, ""}:
                distances = sorted((abs(at - rank), place) for at, place in enumerate(places))
                yield from ((place, category) for _, place in distances)
