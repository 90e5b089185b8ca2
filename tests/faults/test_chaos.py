"""Every kind of fault under one load, then a fault that stays.

``make chaos MINUTES=10`` is more of it, with another seed each time. Not every fault meets every variant with
every delivery, because starting a job takes longer than what is proved with it: see test_crashes.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.chaos import Chaos, Plan, plan

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

SEED = 0
"""Of the broadcast job, exactly once; the job is started anew by the last fault."""

ATTEMPTS = 3


def test_chaos_of_every_kind_then_a_fault_that_stays(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    chosen = plan(random.Random(SEED))
    assert chosen == Plan("broadcast", "exactly-once", "thread")
    with Chaos(chosen, SEED, tmp_path, restart_attempts=ATTEMPTS) as chaos:
        chaos.run(0, print)
        for name, took_s in chaos.struck:
            record_property(f"recovery in s: {name}", round(took_s, 1))
        assert len({name for name, _ in chaos.struck}) == 5

        begin_s = time.monotonic()
        cause, ended = chaos.never_mend()
        took_s = time.monotonic() - begin_s
        record_property(f"end in s: a fault that stays, {ATTEMPTS} restarts", round(took_s, 1))
        print(f"a fault that stays: given up after {ATTEMPTS} restarts and {took_s:.1f} s")
        # The restarts, the way back, the end: each one line with the cause, and no stack trace.
        *restarts, way_back, end = ended.printed().splitlines()[-ATTEMPTS - 2 :]
        failed = f"broadcast.py: the job failed and restarts (from its last checkpoint): {cause}"
        assert restarts == [failed] * ATTEMPTS
        assert re.fullmatch(
            r"broadcast\.py: to go on from the last checkpoint, once the cause is mended: "
            r"flink run -s \S+/chk-\d+ -py \S*flink_jobs/broadcast\.py .*--delivery exactly-once.*",
            way_back,
        ), way_back
        assert end == f"broadcast.py: {cause}"
