"""Turns the numbers that a model gives into the one result (``OutputRule``) and the named outputs.

===========  ===========================  =========================================
rule         one output column            more output columns
===========  ===========================  =========================================
``AUTO``     its value                    the index of the greatest, first on ties
``VALUE``    its value                    the model is rejected
``ARGMAX``   the model is rejected        the index of the greatest, first on ties
===========  ===========================  =========================================

A NaN among the columns makes the result NaN, which stands for "no result".
"""

from __future__ import annotations

import math
import re

import numpy as np
import numpy.typing as npt

from model_serving.core.errors import ModelRejected
from model_serving.core.messages import OutputRule

__all__ = ["MOST_NAMED_COLUMNS", "column_names", "resolve_rule", "result_of", "spelled_number"]

MOST_NAMED_COLUMNS = 1000
"""An output with more columns gives only its result, because a map of them all makes messages too large."""


_NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*", re.ASCII)


def resolve_rule(rule: OutputRule, columns: int) -> OutputRule:
    """Returns ``VALUE`` or ``ARGMAX``, which ``rule`` means for a model with this many output columns.

    Raises:
        ModelRejected: the rule does not fit the number of columns.
    """
    if columns < 1:
        raise ModelRejected("the model's output has no column, but it needs at least one")
    if rule is OutputRule.VALUE and columns > 1:
        raise ModelRejected(
            f"output VALUE needs one output column, but this model has {columns}: use AUTO or ARGMAX"
        )
    if rule is OutputRule.ARGMAX and columns == 1:
        raise ModelRejected(
            "output ARGMAX needs several output columns, but this model has one: use AUTO or VALUE"
        )
    if rule is OutputRule.AUTO:
        return OutputRule.VALUE if columns == 1 else OutputRule.ARGMAX
    return rule


def result_of(matrix: npt.NDArray[np.float64], rule: OutputRule) -> npt.NDArray[np.float64]:
    """Returns the results, shape (n,), of outputs of shape (n, columns), by a rule from ``resolve_rule``."""
    if rule is OutputRule.VALUE:
        return np.ascontiguousarray(matrix[:, 0])
    # For numpy NaN is the greatest, so a row with a NaN has one at the place that is found.
    if len(matrix) == 1:
        place = int(matrix.argmax())
        top = matrix.item(place)
        return np.array([place if top == top else math.nan], dtype=np.float64)
    places = matrix.argmax(axis=1)
    greatest: npt.NDArray[np.float64] = places.astype(np.float64)
    greatest[np.isnan(matrix[np.arange(len(matrix)), places])] = np.nan
    return greatest


def column_names(tensor: str, columns: int) -> tuple[str, ...]:
    """Returns the names of a tensor's columns in ``Scores.outputs``.

    They are ``tensor[0]``, ``tensor[1]``, ..., the tensor's name for a single column, and none for more than
    ``MOST_NAMED_COLUMNS``.
    """
    if columns > MOST_NAMED_COLUMNS:
        return ()
    return (tensor,) if columns == 1 else tuple(f"{tensor}[{index}]" for index in range(columns))


def spelled_number(label: str) -> float | None:
    """Returns the finite number that a class label spells, or None.

    Only decimal numbers count. Python also reads ``10_20`` as one, which is the name of a range.
    """
    if not _NUMBER.fullmatch(label):
        return None
    number = float(label)
    return number if math.isfinite(number) else None
