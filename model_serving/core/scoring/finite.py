"""Whether numbers are finite: asked for every batch, so cheaper than what a model does for one record."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

__all__ = ["all_finite"]

_FEW = 4096
"""Numbers up to which one product is the faster way, and of one thread."""


def all_finite(numbers: npt.NDArray[np.float64]) -> bool:
    """Whether there is no NaN and no infinity among them, whatever their shape."""
    # A square is NaN or infinite where a number is, and where a finite one is huge.
    if numbers.size <= _FEW and math.isfinite(np.vdot(numbers, numbers)):
        return True
    return bool(np.isfinite(numbers).all())
