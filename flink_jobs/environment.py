"""The execution environment of a job: Flink's settings that the job's flags decide."""

from __future__ import annotations

from pyflink.common import Configuration
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.table import StreamTableEnvironment

from flink_jobs.checkpoint_failures import EXACTLY_ONCE_CHECKPOINT_MS, tolerated
from flink_jobs.config import Delivery, ExecutionMode, JobConfig, StateBackend

__all__ = ["build_environment"]

_KEY_GROUPS = 128
"""The parts that state is divided in, so the most instances: what Flink itself takes for up to 85."""

_CHECKPOINTING = {
    # An operator waits for no input's barrier, so a checkpoint never holds records back. After a crash
    # some records may be scored twice, as at-least-once says.
    Delivery.AT_LEAST_ONCE: "AT_LEAST_ONCE",
    Delivery.EXACTLY_ONCE: "EXACTLY_ONCE",
}


def build_environment(config: JobConfig) -> tuple[StreamExecutionEnvironment, StreamTableEnvironment]:
    """A stream environment, and the table environment on top of it."""
    settings = Configuration()
    for key, value in _settings(config).items():
        settings.set_string(key, value)
    env = StreamExecutionEnvironment.get_execution_environment(settings)
    env.set_parallelism(config.parallelism)
    if env.get_max_parallelism() < 1:
        # Chosen, not derived by each operator: all must agree on which instance has which data type, after a
        # restore with another parallelism too.
        env.set_max_parallelism(max(_KEY_GROUPS, config.parallelism))
    return env, StreamTableEnvironment.create(env)


def _settings(config: JobConfig) -> dict[str, str]:
    settings = {
        "python.execution-mode": config.execution_mode.value,
        # A minicluster has one slot unless told otherwise, and a job that lacks slots waits without a word.
        "taskmanager.numberOfTaskSlots": str(config.parallelism),
        # Records have been gathered already (kafka_io): waiting again at each network buffer only adds delay.
        "execution.buffer-timeout.interval": "0 ms",
        # Windows of processing time are counted in this zone. Any other is converted for each record, and
        # would hold windows back for an hour when its clocks are set back.
        "table.local-time-zone": "UTC",
        # The operators that SQL makes get uids like all others, so that a savepoint finds them again.
        "table.exec.uid.generation": "ALWAYS",
        "restart-strategy.type": "none",
    }
    if config.restart_attempts:
        # Bounded: a fault that stays would otherwise restart the job for ever.
        settings |= {
            "restart-strategy.type": "exponential-delay",
            "restart-strategy.exponential-delay.initial-backoff": "1 s",
            "restart-strategy.exponential-delay.max-backoff": "30 s",
            "restart-strategy.exponential-delay.reset-backoff-threshold": "2 min",
            "restart-strategy.exponential-delay.attempts-before-reset-backoff": str(config.restart_attempts),
        }
    if config.execution_mode is ExecutionMode.THREAD:
        # Thread mode's bridge to Python must be one class for all jobs of a TaskManager, not one for each.
        settings["classloader.parent-first-patterns.additional"] = "pemja"
    else:
        # Process mode gives results out when a bundle ends; a bundle here is a few vectors, not records.
        # Thread mode knows no bundles, but each of its operators would wake up as often.
        settings["python.fn-execution.bundle.time"] = "5"
    if config.state_backend is not None:
        settings["state.backend.type"] = config.state_backend.value
    if config.state_backend is StateBackend.ROCKSDB:
        # Its files never change once written: a checkpoint takes the new ones only.
        settings["execution.checkpointing.incremental"] = "true"
    if config.checkpoint_interval_ms:
        settings |= {
            "execution.checkpointing.interval": f"{config.checkpoint_interval_ms} ms",
            "execution.checkpointing.mode": _CHECKPOINTING[config.delivery],
            "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
            "execution.checkpointing.dir": config.checkpoint_dir,
            "execution.checkpointing.savepoint-dir": config.checkpoint_dir,
            # Flink would restart a job whose checkpoint fails, though nothing is wrong with the job.
            "execution.checkpointing.tolerable-failed-checkpoints": str(tolerated(config)),
        }
        if config.delivery is Delivery.EXACTLY_ONCE:
            settings["execution.checkpointing.timeout"] = f"{EXACTLY_ONCE_CHECKPOINT_MS} ms"
    return settings
