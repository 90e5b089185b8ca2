"""As many swaps of all engines as half a minute takes; ``make swaps SWAPS=1000`` is more of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.footprint import report
from tests.faults.many_swaps import SLACK, ManySwaps
from tests.faults.swap_models import ENGINES

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

SETTLED = 10
SECONDS = 10
TREND_PERCENT = 4.0
"""Of two hundred swaps a leak of half a megabyte each shows; libraries still warm up a little."""


def test_swaps_of_all_engines_leave_nothing_behind_in_a_job(tmp_path: Path) -> None:
    with ManySwaps("keyed", ENGINES, tmp_path) as running:
        found = running.run(SETTLED, 10_000, for_s=SECONDS)
        running.verdict()
    print(report(found))
    assert found.complaints(trend_percent=TREND_PERCENT, slack=SLACK) == []
    assert found.after.swaps > found.before.swaps
