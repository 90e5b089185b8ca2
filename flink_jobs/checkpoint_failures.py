"""How many checkpoints may fail before the job has to restart."""

from __future__ import annotations

from flink_jobs.config import Delivery, JobConfig

__all__ = ["EXACTLY_ONCE_CHECKPOINT_MS", "TRANSACTION_TIMEOUT_MS", "tolerated"]

TRANSACTION_TIMEOUT_MS = 15 * 60 * 1000
"""The broker's default maximum: a transaction must outlive the longest pause between two checkpoints."""

EXACTLY_ONCE_CHECKPOINT_MS = 2 * 60 * 1000
"""With exactly-once, a checkpoint that takes longer has failed."""

_ALWAYS = 2**31 - 1


def tolerated(config: JobConfig) -> int:
    """How many checkpoints may fail one after the other before the job restarts from the last that completed.

    With exactly-once, results wait in transactions until a checkpoint completes. The broker ends them after
    their timeout, and Flink would then say in its log only that they are lost. So a restart has to come
    first, even when each checkpoint fails by its own timeout: results are then made and written anew.
    """
    if config.delivery is Delivery.AT_LEAST_ONCE:
        return _ALWAYS
    each_ms = max(config.checkpoint_interval_ms, EXACTLY_ONCE_CHECKPOINT_MS)
    # The oldest transaction began an interval before the first failure; the last one restarts the job.
    return max(0, (TRANSACTION_TIMEOUT_MS - 1) // each_ms - 2)
