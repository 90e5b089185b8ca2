"""A minute of chaos; ``make chaos MINUTES=10`` is more of it, with another seed each time."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.chaos import Chaos, plan

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

SEED = 4


def test_a_minute_of_chaos(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    chosen = plan(random.Random(SEED))
    with Chaos(chosen, SEED, tmp_path) as chaos:
        chaos.run(60, print)
        for name, took_s in chaos.struck:
            record_property(f"recovery in s: {name}", round(took_s, 1))
        assert chaos.struck
