"""The flags of both jobs, checked before a JVM starts: the flags of every host, and those of Flink jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from find_libpython import find_libpython

from model_serving.flags import SHARED, Delivery, Flag, FlagParser, ServingConfig, StartingOffsets
from model_serving.flags.values import read_choice, read_directory, read_number
from model_serving.stores.models import store_beside

__all__ = [
    "FLAGS",
    "Delivery",
    "ExecutionMode",
    "JobConfig",
    "StartingOffsets",
    "StateBackend",
    "parse_config",
]


class ExecutionMode(Enum):
    """How Flink runs the Python code: inside the TaskManager's JVM, or in worker processes beside it."""

    THREAD = "thread"
    PROCESS = "process"


class StateBackend(Enum):
    """Where Flink keeps state between checkpoints."""

    HASHMAP = "hashmap"
    ROCKSDB = "rocksdb"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobConfig(ServingConfig):
    """A Flink job as its flags describe it. ``checkpoint_dir`` is a URI."""

    parallelism: int
    execution_mode: ExecutionMode
    checkpoint_interval_ms: int
    checkpoint_dir: str
    restart_attempts: int
    state_backend: StateBackend | None

    @property
    def store(self) -> str:
        """The URL of the model store; empty if there is none, see ``store_beside``."""
        return self.model_store or store_beside(self.checkpoint_dir)

    def check(self, parser: FlagParser) -> None:
        """See ServingConfig."""
        if self.delivery is Delivery.EXACTLY_ONCE and self.checkpoint_interval_ms == 0:
            parser.refuse(
                "--delivery exactly-once needs checkpoints, which commit its transactions: "
                "--checkpoint-interval-ms must be above 0"
            )
        ServingConfig.check(self, parser)


def parse_config(argv: Sequence[str], environ: Mapping[str, str], program: str) -> JobConfig:
    """The configuration from the flags and, where a flag is not given, the environment.

    Raises:
        SystemExit: a flag is wrong (status 2, one line on stderr), or help was asked for (status 0).
    """
    parser = FlagParser(FLAGS, program=program, description=_DESCRIPTION)
    config = JobConfig(**parser.parse(argv, environ), base_dir=str(Path.cwd()))
    config.check(parser)
    return config


_DESCRIPTION = (
    "Scores the records of a Kafka topic with models that arrive on another one, while it runs. "
    "Each flag can also be set as an environment variable."
)


def _best_execution_mode() -> ExecutionMode:
    # Thread mode embeds Python through its shared library, which some interpreters do not have. Pemja, which
    # embeds Python, looks for the library in the same way.
    return ExecutionMode.THREAD if find_libpython() else ExecutionMode.PROCESS


_OWN = (
    Flag("parallelism", "1", read_number(1), "parallel instances of each operator"),
    Flag(
        "execution-mode",
        _best_execution_mode().value,
        read_choice(ExecutionMode),
        "how Flink runs the Python code: thread (faster) or process",
    ),
    Flag("checkpoint-interval-ms", "5000", read_number(0), "time between checkpoints; 0: none"),
    Flag(
        "checkpoint-dir",
        "checkpoints",
        read_directory,
        "where checkpoints and savepoints go, a path or a URI",
    ),
    Flag(
        "restart-attempts",
        "10",
        read_number(0),
        "restarts after failures, with growing pauses, before the job gives up; counted from 0 again after 2 "
        "minutes without a failure",
    ),
    Flag(
        "state-backend",
        "",
        lambda text: read_choice(StateBackend)(text) if text else None,
        "where Flink keeps state: hashmap (Java's heap), or rocksdb (disk, incremental checkpoints); "
        "off: as Flink is configured",
    ),
)

FLAGS = (*SHARED, *_OWN)
"""Every flag of the jobs."""
