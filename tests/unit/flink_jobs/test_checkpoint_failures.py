"""A job whose checkpoints fail restarts before the broker aborts its transactions, but not too early."""

from __future__ import annotations

import pytest

from flink_jobs.checkpoint_failures import EXACTLY_ONCE_CHECKPOINT_MS, TRANSACTION_TIMEOUT_MS, tolerated
from flink_jobs.config import parse_config


def tolerated_with(delivery: str, interval_ms: int) -> int:
    flags = ["--delivery", delivery, "--checkpoint-interval-ms", str(interval_ms)]
    return tolerated(parse_config(flags, {}, "keyed.py"))


def test_at_least_once_never_restarts_for_a_checkpoint() -> None:
    assert tolerated_with("at-least-once", 5000) == 2**31 - 1


@pytest.mark.parametrize("interval_ms", [500, 5000, 100_000, 180_000, 300_000])
def test_exactly_once_restarts_before_its_transactions_time_out(interval_ms: int) -> None:
    failures = tolerated_with("exactly-once", interval_ms) + 1
    each_ms = max(interval_ms, EXACTLY_ONCE_CHECKPOINT_MS)
    # One interval from the completed checkpoint to the next attempt, then the longest time of each attempt.
    assert interval_ms + failures * each_ms < TRANSACTION_TIMEOUT_MS
    assert interval_ms > EXACTLY_ONCE_CHECKPOINT_MS or failures == 6
