"""The flags of the Spark jobs: those of every host that apply to them, and their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from model_serving.events import LogFormat
from model_serving.flags import SHARED, Delivery, Flag, FlagParser, ServingConfig
from model_serving.flags.values import Wrong, read_choice, read_directory, read_number, read_text
from model_serving.stores.models import store_beside

__all__ = ["SparkConfig", "Variant", "flags", "parse_config"]


class Variant(Enum):
    """How models meet records: in the state of a data type's task, or published to every task."""

    KEYED = "keyed"
    BROADCAST = "broadcast"


@dataclass(frozen=True, slots=True, kw_only=True)
class SparkConfig(ServingConfig):
    """A Spark job as its flags describe it.

    ``checkpoint_dir`` is a URI. ``trigger_interval_ms`` is the least time between the starts of two batches,
    ``max_records_per_trigger`` the most records in a batch, of all partitions together. ``parallelism`` is
    the number of tasks that run at the same time where no master is named, and of the state's partitions.
    ``ui_port`` 0 is for no web interface.
    """

    variant: Variant
    checkpoint_dir: str
    trigger_interval_ms: int
    max_records_per_trigger: int
    parallelism: int
    restart_attempts: int
    ui_port: int
    ui_host: str
    log_format: LogFormat

    @property
    def store(self) -> str:
        """The URL of the model store; empty if there is none, see ``store_beside``."""
        return self.model_store or store_beside(self.checkpoint_dir)

    def location(self, name: str) -> str:
        """The URI of a folder in the checkpoint folder: a query's checkpoint, or files beside it."""
        return f"{self.checkpoint_dir.rstrip('/')}/{name}"

    def check(self, parser: FlagParser) -> None:
        """See ServingConfig."""
        if self.delivery is Delivery.EXACTLY_ONCE:
            parser.refuse(
                "--delivery exactly-once: Spark writes to Kafka at least once; take at-least-once, and drop "
                "repeats by the headers of each result, or use a host that has it (Flink, model-serving run)"
            )
        ServingConfig.check(self, parser)


def parse_config(argv: Sequence[str], environ: Mapping[str, str], variant: Variant) -> SparkConfig:
    """The configuration from the flags and, where a flag is not given, the environment.

    Raises:
        SystemExit: a flag is wrong (status 2, one line on stderr), or help was asked for (status 0).
    """
    parser = FlagParser(flags(variant), program=f"{variant.value}.py", description=_DESCRIPTION)
    config = SparkConfig(
        **parser.parse(argv, environ),
        variant=variant,
        # Spark looks for new partitions before every batch.
        partition_discovery_interval_ms=0,
        base_dir=str(Path.cwd()),
        host=f"spark-{variant.value}",
    )
    config.check(parser)
    return config


def flags(variant: Variant) -> tuple[Flag, ...]:
    """Every flag of a variant."""
    return (
        *(flag for flag in SHARED if flag.name not in _NOT_HERE),
        Flag(
            "checkpoint-dir",
            f"checkpoints/spark-{variant.value}",
            read_directory,
            "where this job's checkpoint goes, a path or a URI; a job that finds one there goes on from it",
        ),
        *_OWN,
    )


_DESCRIPTION = (
    "Scores the records of a Kafka topic with models that arrive on another one, in Spark Structured "
    "Streaming. Each flag can also be set as an environment variable."
)

_NOT_HERE = {"partition-discovery-interval-ms"}
"""Flags whose subject Spark decides by itself."""

_PORTS = 65536


def _read_port(text: str) -> int:
    port = read_number(0)(text)
    if port >= _PORTS:
        raise Wrong(f"'{text}' is not a port: at most {_PORTS - 1}, or 0 for none")
    return port


_OWN = (
    Flag(
        "trigger-interval-ms",
        "0",
        read_number(0),
        "milliseconds from the start of a batch to the start of the next; 0: as soon as the one before ends",
    ),
    Flag("max-records-per-trigger", "100000", read_number(1), "the most records in a batch"),
    Flag(
        "parallelism",
        "1",
        read_number(1),
        "partitions of the keyed state, which a checkpoint keeps for ever, and tasks at the same time where "
        "no master is named",
    ),
    Flag(
        "restart-attempts",
        "10",
        read_number(0),
        "restarts after failures, with growing pauses, before the job gives up; counted from 0 again after 2 "
        "minutes without a failure",
    ),
    Flag("ui-port", "4040", _read_port, "the port of Spark's web interface, or the next free one; 0: none"),
    Flag("ui-host", "127.0.0.1", read_text, "the address of that port, where no master is named"),
    Flag(
        "log-format",
        "text",
        read_choice(LogFormat),
        "how events are written to standard output: text or json",
    ),
)
