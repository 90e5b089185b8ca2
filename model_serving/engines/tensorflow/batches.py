"""Finds out whether a record's score depends on the records that are scored together with it.

A model that takes the mean of its batch, such as one saved while it normalizes batches for the training,
would give a record another score in each batch. Such a model is served one record at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from model_serving.core.errors import ScoringFailed

if TYPE_CHECKING:
    from model_serving.core.engine import Columns
    from model_serving.engines.tensors.inputs import Feed, TensorInputs
    from model_serving.engines.tensors.model import Run, Tensor

__all__ = ["depends_on_batch"]

_RECORDS = 3
_RELATIVE, _ABSOLUTE = 1e-2, 1e-4
"""Sums in another order differ by less, also in bfloat16."""


def depends_on_batch(run: Run, inputs: TensorInputs) -> bool:
    """Whether records get other outputs together than each alone; not when the outputs are random."""
    records = _different_records(inputs)
    try:
        together = run(inputs.feeds(records))
        again = run(inputs.feeds(records))
        alone = [run(inputs.feeds(records[index : index + 1])) for index in range(len(records))]
    except ScoringFailed:
        # The trial of the model finds out what is wrong.
        return False
    for place, tensor in enumerate(together):
        if tensor.dtype.kind == "O" or tensor.shape[:1] != (len(records),):
            continue
        single = [tensors[place] for tensors in alone]
        if any(value.shape != (1, *tensor.shape[1:]) for value in single):
            continue
        if _alike(tensor, again[place]) and not _alike(tensor, np.concatenate(single)):
            return True
    return False


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
