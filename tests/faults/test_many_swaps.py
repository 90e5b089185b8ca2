"""As many swaps of all engines as half a minute takes; ``make swaps SWAPS=1000`` is more of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.footprint import report
from tests.faults.many_swaps import SLACK, ManySwaps
from tests.faults.swap_models import ENGINES

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

SETTLED = 15
SECONDS = 20
TREND_PERCENT = 10.0
"""Of some hundred swaps only a leak of a megabyte each shows beside what Java's heap does at first."""


def test_swaps_of_all_engines_leave_nothing_behind_in_a_job(tmp_path: Path) -> None:
    with ManySwaps("keyed", ENGINES, tmp_path) as running:
        found = running.run(SETTLED, 10_000, for_s=SECONDS)
        running.verdict()
    print(report(found))
    assert found.complaints(trend_percent=TREND_PERCENT, slack=SLACK) == []
    assert found.after.swaps > found.before.swaps
