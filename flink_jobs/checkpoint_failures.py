"""Computes how many checkpoints may fail in a row before the job has to restart."""

from __future__ import annotations

from flink_jobs.config import Delivery, JobConfig

__all__ = ["EXACTLY_ONCE_CHECKPOINT_MS", "TRANSACTION_TIMEOUT_MS", "tolerated"]

TRANSACTION_TIMEOUT_MS = 15 * 60 * 1000
"""The broker's default maximum. A transaction must outlive the longest pause between two checkpoints."""

EXACTLY_ONCE_CHECKPOINT_MS = 2 * 60 * 1000
"""The time after which a checkpoint counts as failed, with exactly-once."""

_ALWAYS = 2**31 - 1


def tolerated(config: JobConfig) -> int:
    """How many checkpoints may fail in a row before the job restarts from the last completed one.

    With exactly-once, results wait in transactions until a checkpoint completes. The broker aborts a
    transaction after its timeout; the results are then lost, and Flink says so only in its log. So the job
    has to restart before that, even when each checkpoint fails by its own timeout: the restarted job makes
    and writes the results again.
    """
    if config.delivery is Delivery.AT_LEAST_ONCE:
        return _ALWAYS
    each_ms = max(config.checkpoint_interval_ms, EXACTLY_ONCE_CHECKPOINT_MS)
    # The oldest transaction began one interval before the first failure; the last failure restarts the job.
    return max(0, (TRANSACTION_TIMEOUT_MS - 1) // each_ms - 2)
