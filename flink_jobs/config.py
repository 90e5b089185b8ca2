"""The flags of both jobs, checked before a JVM starts."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, NoReturn

from find_libpython import find_libpython

from flink_jobs.flag_values import (
    Wrong,
    read_choice,
    read_directory,
    read_hours,
    read_kafka_file,
    read_key_file,
    read_number,
    read_places,
    read_record_type,
    read_servers,
    read_store,
    read_switch,
    read_text,
    read_topic,
)
from model_serving.core.scoring.input_policy import MissingPolicy
from model_serving.core.scoring.waiting import NoModelPolicy, WaitingPolicy
from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.topics import TopicNames
from model_serving.settings import ServingSettings
from model_serving.stores.models import missing_client

__all__ = [
    "Delivery",
    "ExecutionMode",
    "JobConfig",
    "StartingOffsets",
    "StateBackend",
    "parse_config",
]

_ENVIRONMENT_PREFIX = "MODEL_SERVING_"
_MEBIBYTE = 1 << 20


class ExecutionMode(Enum):
    """How Flink runs the Python code: inside the TaskManager's JVM, or in worker processes beside it."""

    THREAD = "thread"
    PROCESS = "process"


class Delivery(Enum):
    """What a reader of the output topics gets after a failure."""

    AT_LEAST_ONCE = "at-least-once"
    EXACTLY_ONCE = "exactly-once"


class StateBackend(Enum):
    """Where Flink keeps state between checkpoints."""

    HASHMAP = "hashmap"
    ROCKSDB = "rocksdb"


class StartingOffsets(Enum):
    """Where a job that is not restored starts to read."""

    COMMITTED = "committed"
    EARLIEST = "earliest"
    LATEST = "latest"


@dataclass(frozen=True, slots=True)
class JobConfig:
    """A job as its flags describe it. ``checkpoint_dir`` is a URI, ``base_dir`` where the job was started.

    ``run`` names this submission of the job, ``claims_stored`` says that it owns what it is restored from,
    ``dead_letter_limit`` and ``result_limit`` are the largest messages that the topics take. These are not
    flags, ``flink_jobs.run`` fills them in.
    """

    bootstrap_servers: str
    kafka_config: Mapping[str, str] = field(repr=False)
    models_topic: str
    data_topic: str
    results_topic: str
    dead_letter_topic: str
    status_topic: str
    models_group: str
    data_group: str
    starting_offsets: StartingOffsets
    partition_discovery_interval_ms: int
    bounded: bool
    parallelism: int
    execution_mode: ExecutionMode
    checkpoint_interval_ms: int
    checkpoint_dir: str
    delivery: Delivery
    no_model: NoModelPolicy
    buffer_limit: int
    keep_versions: int
    record_type: str
    model_size_limit: int
    allow_locations: tuple[str, ...]
    model_key_file: str
    missing: MissingPolicy
    failure_threshold: int
    load_timeout_s: int
    trial_timeout_s: int
    trial_memory_limit: int
    unpacked_size_limit: int
    pmml_size_limit: int
    restart_attempts: int
    model_store: str = field(repr=False)
    inline_limit: int
    model_store_retention_h: float
    state_backend: StateBackend | None
    base_dir: str
    run: str = ""
    claims_stored: bool = False
    dead_letter_limit: int | None = None
    result_limit: int | None = None

    @property
    def kafka(self) -> KafkaAccess:
        """Where Kafka is and how to speak to it."""
        return KafkaAccess(self.bootstrap_servers, self.kafka_config)

    @property
    def topic_names(self) -> TopicNames:
        """The topics by what they are for."""
        return TopicNames(
            models=self.models_topic,
            data=self.data_topic,
            results=self.results_topic,
            dead_letters=self.dead_letter_topic,
            status=self.status_topic,
        )

    @property
    def topics(self) -> tuple[str, ...]:
        """Every topic that the job uses."""
        return self.topic_names.all()

    @property
    def store(self) -> str:
        """The URL of the model store: beside the checkpoints unless one is named.

        Empty, and all models stay in state, where Flink can open the place of the checkpoints and Python
        cannot.
        """
        if self.model_store:
            return self.model_store
        beside = f"{self.checkpoint_dir.rstrip('/')}/models"
        return "" if missing_client(beside) else beside

    @property
    def serving(self) -> ServingSettings:
        """The part that the operators are told."""
        return ServingSettings(
            record_type=self.record_type,
            models_topic=self.models_topic,
            data_topic=self.data_topic,
            waiting=WaitingPolicy(self.no_model, self.buffer_limit, self.bounded),
            keep_versions=self.keep_versions,
            base_dir=self.base_dir,
            model_size_limit=self.model_size_limit,
            allow_locations=self.allow_locations,
            model_key_file=self.model_key_file,
            missing=self.missing,
            failure_threshold=self.failure_threshold,
            load_timeout_s=self.load_timeout_s,
            trial_timeout_s=self.trial_timeout_s,
            trial_memory_limit=self.trial_memory_limit,
            unpacked_size_limit=self.unpacked_size_limit,
            pmml_size_limit=self.pmml_size_limit,
            model_store=self.store,
            inline_limit=self.inline_limit,
            model_store_retention_ms=round(self.model_store_retention_h * 3_600_000),
            run=self.run,
            claims_stored=self.claims_stored,
            dead_letter_limit=self.dead_letter_limit,
            result_limit=self.result_limit,
        )


@dataclass(frozen=True, slots=True)
class _Flag:
    """A flag: its name without dashes, its default as one would type it, how its text is read."""

    name: str
    default: str
    read: Callable[[str], Any]
    help: str

    @property
    def variable(self) -> str:
        return _ENVIRONMENT_PREFIX + self.name.upper().replace("-", "_")


def parse_config(argv: Sequence[str], environ: Mapping[str, str], program: str) -> JobConfig:
    """The configuration that the flags and, behind them, the environment describe.

    Raises:
        SystemExit: a flag is wrong (status 2, one line on stderr), or help was asked for (status 0).
    """
    parser = _Parser(prog=program, description=_DESCRIPTION, allow_abbrev=False)
    for flag in _FLAGS:
        about = f"{flag.help} (default: {flag.default or 'off'}; {flag.variable})"
        if flag.name == "bounded":
            parser.add_argument("--bounded", nargs="?", const="true", help=about)
        else:
            parser.add_argument(f"--{flag.name}", help=about, metavar="VALUE")
    given = vars(parser.parse_args(argv))
    values: dict[str, Any] = {}
    for flag in _FLAGS:
        attribute = flag.name.replace("-", "_")
        text, source = given[attribute], f"--{flag.name}"
        if text is None and flag.variable in environ:
            text, source = environ[flag.variable], f"--{flag.name} (from {flag.variable})"
        try:
            values[attribute] = flag.read(flag.default if text is None else text)
        except Wrong as wrong:
            parser.error(f"{source}: {wrong}")
    config = JobConfig(**values, base_dir=str(Path.cwd()))
    if config.delivery is Delivery.EXACTLY_ONCE and config.checkpoint_interval_ms == 0:
        parser.error(
            "--delivery exactly-once needs checkpoints, which commit its transactions: "
            "--checkpoint-interval-ms must be above 0"
        )
    if len(set(config.topics)) < len(config.topics):
        parser.error(
            "the five topics must differ: --models-topic, --data-topic, --results-topic, … name one twice"
        )
    return config


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        # One line: the usage of twenty flags would hide what is wrong.
        print(f"{self.prog}: {' '.join(message.split())}", file=sys.stderr)
        raise SystemExit(2)


_DESCRIPTION = (
    "Scores the records of a Kafka topic with models that arrive on another one, while it runs. "
    "Each flag can also be set as an environment variable."
)


def _best_execution_mode() -> ExecutionMode:
    # Thread mode embeds Python by its shared library, which some interpreters are built without. Pemja, which
    # does the embedding, looks for it in this way.
    return ExecutionMode.THREAD if find_libpython() else ExecutionMode.PROCESS


_FLAGS = (
    _Flag("bootstrap-servers", "localhost:9092", read_servers, "Kafka"),
    _Flag(
        "kafka-config",
        "",
        read_kafka_file,
        "a file of client properties, for a Kafka with TLS or a login; off: none",
    ),
    _Flag("models-topic", "models", read_topic, "models and model commands in"),
    _Flag("data-topic", "mdata", read_topic, "records in"),
    _Flag("results-topic", "results", read_topic, "one result per scored record"),
    _Flag(
        "dead-letter-topic", "dead-letters", read_topic, "everything that could not be served, with its bytes"
    ),
    _Flag("status-topic", "model-status", read_topic, "what became of each model message"),
    _Flag("models-group", "modelRecordsGroup", read_text, "consumer group that reads the models"),
    _Flag("data-group", "wineRecordsGroup", read_text, "consumer group that reads the records"),
    _Flag(
        "starting-offsets",
        "committed",
        read_choice(StartingOffsets),
        "where a job that is not restored starts: committed (earliest where none is), earliest or latest",
    ),
    _Flag(
        "partition-discovery-interval-ms",
        "10000",
        read_number(0),
        "time between two looks for new partitions of the models and the data topic; 0: never",
    ),
    _Flag("bounded", "", read_switch, "read both topics to the end that they have now, then finish"),
    _Flag("parallelism", "1", read_number(1), "parallel instances of each operator"),
    _Flag(
        "execution-mode",
        _best_execution_mode().value,
        read_choice(ExecutionMode),
        "how Flink runs the Python code: thread (faster) or process",
    ),
    _Flag("checkpoint-interval-ms", "5000", read_number(0), "time between checkpoints; 0: none"),
    _Flag(
        "checkpoint-dir",
        "checkpoints",
        read_directory,
        "where checkpoints and savepoints go, a path or a URI",
    ),
    _Flag(
        "delivery",
        "at-least-once",
        read_choice(Delivery),
        "at-least-once, or exactly-once by Kafka transactions",
    ),
    _Flag(
        "no-model",
        "buffer",
        read_choice(NoModelPolicy),
        "what becomes of a record whose data type has no model yet: buffer, dead-letter or drop",
    ),
    _Flag("buffer-limit", "10000", read_number(0), "records of a data type that may wait for a model"),
    _Flag("keep-versions", "3", read_number(1), "versions of a data type that are kept for rollback"),
    _Flag(
        "record-type",
        "model_serving.protos.winerecord_pb2:WineRecord",
        read_record_type,
        "the protobuf message on the data topic",
    ),
    _Flag(
        "model-size-limit",
        str(256 * _MEBIBYTE),
        read_number(1),
        "greatest size of a model by location, in bytes",
    ),
    _Flag(
        "allow-locations",
        "",
        read_places,
        "the paths and URLs, with commas between, under which models by location may be; off: anywhere",
    ),
    _Flag(
        "model-key-file",
        "",
        read_key_file,
        "keys that model messages must be signed with, here and on each TaskManager; off: unsigned",
    ),
    _Flag(
        "missing",
        "reject",
        read_choice(MissingPolicy),
        "a record that lacks a value which its model takes (unset, NaN, infinite): reject it, or pass it on",
    ),
    _Flag(
        "failure-threshold",
        "5",
        read_number(0),
        "so many failures of a model in a row bring the version before back; 0: never",
    ),
    _Flag(
        "load-timeout-s",
        "120",
        read_number(1),
        "seconds that fetching, loading and checking a model may take before it is rejected",
    ),
    _Flag(
        "trial-timeout-s",
        "60",
        read_number(0),
        "seconds for a trial of TensorFlow and ONNX models; 0: no trial",
    ),
    _Flag("trial-memory-limit", str(4 << 30), read_number(1), "memory that a model may take in it, in bytes"),
    _Flag("unpacked-size-limit", str(2 << 30), read_number(1), "bytes that an archive may unpack to"),
    _Flag(
        "pmml-size-limit", str(64 * _MEBIBYTE), read_number(1), "greatest size of a PMML document, in bytes"
    ),
    _Flag(
        "restart-attempts",
        "10",
        read_number(0),
        "so many restarts after failures, with growing pauses, before the job gives up; counted anew after 2 "
        "minutes without one",
    ),
    _Flag(
        "model-store",
        "",
        read_store,
        "where models above the inline limit are kept, a path or a URL; "
        "off: 'models' in the checkpoint folder",
    ),
    _Flag(
        "inline-limit",
        str(_MEBIBYTE),
        read_number(0),
        "greatest size of a model in Flink's state, in bytes; larger ones go to the model store",
    ),
    _Flag(
        "model-store-retention-h",
        "168",
        read_hours,
        "hours that the model store holds what no version refers to any more",
    ),
    _Flag(
        "state-backend",
        "",
        lambda text: read_choice(StateBackend)(text) if text else None,
        "where Flink keeps state: hashmap (Java's heap), or rocksdb (disk, incremental checkpoints); "
        "off: as Flink is configured",
    ),
)
