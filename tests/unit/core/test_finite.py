"""The fast test for finite numbers gives the same answer as the plain one."""

from __future__ import annotations

import numpy as np
import pytest

from model_serving.core.scoring import finite
from model_serving.core.scoring.finite import all_finite


@pytest.mark.parametrize("shape", [(1,), (3, 5), (finite._FEW + 1,), (0,)])
@pytest.mark.parametrize("number", [0.0, -1.5, 1e300, -1e300, np.nan, np.inf, -np.inf, 5e-324])
def test_every_number_is_looked_at(shape: tuple[int, ...], number: float) -> None:
    numbers = np.ones(shape)
    assert all_finite(numbers)
    for place in {0, numbers.size // 2, numbers.size - 1} if numbers.size else ():
        one_other = numbers.copy()
        one_other.flat[place] = number
        assert all_finite(one_other) is bool(np.isfinite(number))
        assert all_finite(one_other.T[::-1]) is bool(np.isfinite(number))


def test_infinities_do_not_cancel() -> None:
    assert not all_finite(np.array([np.inf, -np.inf]))
