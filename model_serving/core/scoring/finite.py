"""Tests whether numbers are finite, for every batch, at less cost than a model needs for one record."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

__all__ = ["all_finite"]

_FEW = 4096
"""The largest count of numbers for which one product is faster and runs in one thread."""


def all_finite(numbers: npt.NDArray[np.float64]) -> bool:
    """Whether no number in an array of any shape is NaN or infinite."""
    # The sum of squares is finite only if every number is. A huge finite number can make it infinite.
    if numbers.size <= _FEW and math.isfinite(np.vdot(numbers, numbers)):
        return True
    return bool(np.isfinite(numbers).all())
