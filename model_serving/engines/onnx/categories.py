"""Finds a record that a model with categories can score.

A OneHotEncoder of scikit-learn refuses a category that it has not learnt, unless it was made with
``handle_unknown="ignore"``, and so does the ONNX model made of it. Zeros and empty texts are no categories,
so such a model cannot be tried with them. Its nodes have their categories, and ONNX Runtime names a node that
fails: one field after the other is given that node's first category, until another node fails or none.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from model_serving.core.errors import ScoringFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from model_serving.core.engine import Columns
    from model_serving.engines.tensors.inputs import TensorInputs
    from model_serving.engines.tensors.model import Run

__all__ = ["row_of_categories"]

_NODE = re.compile(r"running OneHotEncoder node\. Name:'([^']*)'")
_MOST_RUNS = 10_000


def row_of_categories(
    run: Run, inputs: TensorInputs, categories: Mapping[str, str | float]
) -> Columns | None:
    """Returns a row of shape (1, fields) that the model scores, None if none is found or zeros do.

    Args:
        run: computes the outputs.
        inputs: the fields, and the tensors that are made from them.
        categories: a category of each OneHotEncoder, by the name of the node.
    """
    row = inputs.trial()[:1]
    fails = _failing(run, inputs, row)
    if fails is None:
        return None
    texts = {place for part in inputs.parts if part.tensor.dtype is None for place in part.places}
    numbers = set(range(row.shape[1])) - texts
    given: set[int] = set()
    runs = 0
    while fails is not None:
        category = categories.get(fails)
        if category is None:
            return None
        alike = [name for name, other in categories.items() if type(other) is type(category)]
        for place in _nearest(sorted(texts if isinstance(category, str) else numbers), alike.index(fails)):
            if place in given:
                continue
            runs += 1
            tried = row.copy()
            tried[0, place] = category
            now = _failing(run, inputs, tried)
            if now != fails:
                row, fails = tried, now
                given.add(place)
                break
        else:
            return None
        if runs > _MOST_RUNS:
            return None
    return row


def _nearest(places: Sequence[int], rank: int) -> list[int]:
    """The places, that at ``rank`` and its neighbors first: most exporters keep the order of the fields."""
    order = sorted(range(len(places)), key=lambda at: abs(at - rank))
    return [places[at] for at in order]


def _failing(run: Run, inputs: TensorInputs, row: Columns) -> str | None:
    """The name of the OneHotEncoder that fails, "" if something else does, None if nothing does."""
    try:
        run(inputs.feeds(np.repeat(row, inputs.batch or 1, axis=0)))
    except ScoringFailed as error:
        found = _NODE.search(f"{error.__cause__ or error}")
        return found[1] if found else ""
    return None
