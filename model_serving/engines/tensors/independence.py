"""Finds out whether a record's score depends on the records that are scored together with it, or on chance.

A model that takes the mean of its batch, such as one saved while it normalizes batches for the training, or
one with its softmax along the wrong axis, would give a record another score in each batch. Such a model is
served one record at a time. One with its dropout still on gives another score each time, and says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from model_serving.core.errors import ScoringFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from model_serving.core.engine import Columns
    from model_serving.engines.tensors.inputs import Feed, TensorInputs
    from model_serving.engines.tensors.reading import Tensor

__all__ = ["BY_CHANCE", "TOGETHER", "dependence"]

TOGETHER = "Records are scored one at a time, because a record's score depends on the others of its batch."
BY_CHANCE = (
    "The model gives a record another score each time: export it for inference, without dropout and noise."
)

_RECORDS = 3
_RELATIVE, _ABSOLUTE = 1e-2, 1e-4
"""Sums in another order differ by less, also in bfloat16."""


def dependence(run: Callable[[Sequence[Tensor]], Sequence[Tensor]], inputs: TensorInputs) -> str:
    """Returns ``TOGETHER`` or ``BY_CHANCE``, "" where a record's score depends on the record alone.

    ``run`` computes the outputs; the model takes any number of records. Where it fails for the records that
    are tried, nothing is found out.
    """
    records = _different_records(inputs)
    try:
        together = run(inputs.feeds(records))
        alone = [run(inputs.feeds(records[index : index + 1])) for index in range(len(records))]
        if all(_fits(tensor, [tensors[place] for tensors in alone]) for place, tensor in enumerate(together)):
            return ""
        again = run(inputs.feeds(records))
    except ScoringFailed:
        # The trial of the model finds out what is wrong.
        return ""
    numbers = [(one, other) for one, other in zip(together, again, strict=True) if one.dtype.kind != "O"]
    return TOGETHER if all(_alike(one, other) for one, other in numbers) else BY_CHANCE


def _fits(together: Tensor, alone: Sequence[Tensor]) -> bool:
    """Whether records have the same numbers together and alone, or nothing can be compared."""
    if together.dtype.kind == "O" or together.shape[:1] != (len(alone),):
        return True
    if any(value.shape != (1, *together.shape[1:]) for value in alone):
        return True
    return _alike(together, np.concatenate(alone))


def _alike(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and np.allclose(
        one.astype(np.float64), other.astype(np.float64), _RELATIVE, _ABSOLUTE, equal_nan=True
    )


def _different_records(inputs: TensorInputs) -> Columns:
    """Returns records like those of the trial, but with numbers that differ."""
    records = inputs.trial()[:_RECORDS]
    numbers = np.random.default_rng(0).uniform(0.0, 1.0, records.shape)
    whole = {place for part in inputs.parts for place in part.places if _takes(part, "iub")}
    for place in {place for part in inputs.parts for place in part.places if _takes(part, "fiub")}:
        records[:, place] = np.arange(len(records)) % 2 if place in whole else numbers[:, place]
    return records


def _takes(part: Feed, kinds: str) -> bool:
    return part.tensor.dtype is not None and part.tensor.dtype.kind in kinds
