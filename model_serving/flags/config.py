"""The configuration that follows from the flags that all hosts share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from model_serving.core.model_servers.outage import OutagePolicy
from model_serving.core.scoring.input_policy import MissingPolicy
from model_serving.core.scoring.waiting import NoModelPolicy, WaitingPolicy
from model_serving.flags.parsing import FlagParser
from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.topics import TopicNames
from model_serving.settings import ServingSettings

__all__ = ["Delivery", "ServingConfig", "StartingOffsets"]


class Delivery(Enum):
    """The guarantee for readers of the output topics after a failure."""

    AT_LEAST_ONCE = "at-least-once"
    EXACTLY_ONCE = "exactly-once"


class StartingOffsets(Enum):
    """Where a job that is not restored starts to read."""

    COMMITTED = "committed"
    EARLIEST = "earliest"
    LATEST = "latest"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingConfig:
    """The configuration of the serving from the flags of every host.

    The host fills in the values that are not flags: ``base_dir`` is the folder where it was started. ``run``
    names this submission of the job. ``claims_stored`` says that the job may delete the stored models of the
    runs that it is restored from. ``dead_letter_limit`` and ``result_limit`` are the largest messages that
    the topics take, in bytes. ``host`` is the host's name in statistics.
    """

    bootstrap_servers: str
    kafka_config: Mapping[str, str] = field(repr=False)
    models_topic: str
    data_topic: str
    results_topic: str
    dead_letter_topic: str
    status_topic: str
    stats_topic: str
    models_group: str
    data_group: str
    starting_offsets: StartingOffsets
    partition_discovery_interval_ms: int
    bounded: bool
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
    model_store: str = field(repr=False)
    inline_limit: int
    model_store_retention_h: float
    remote_timeout_ms: int
    remote_outage: OutagePolicy
    remote_headers_file: str
    remote_ca_file: str
    base_dir: str
    host: str = ""
    run: str = ""
    claims_stored: bool = False
    dead_letter_limit: int | None = None
    result_limit: int | None = None

    @property
    def kafka(self) -> KafkaAccess:
        """The access to Kafka."""
        return KafkaAccess(self.bootstrap_servers, self.kafka_config)

    @property
    def topic_names(self) -> TopicNames:
        """The topics by their purpose."""
        return TopicNames(
            models=self.models_topic,
            data=self.data_topic,
            results=self.results_topic,
            dead_letters=self.dead_letter_topic,
            status=self.status_topic,
            stats=self.stats_topic,
        )

    @property
    def topics(self) -> tuple[str, ...]:
        """The names of all topics."""
        return self.topic_names.all()

    @property
    def store(self) -> str:
        """The URL of the model store; empty if none is named, and all models then stay in state."""
        return self.model_store

    @property
    def serving(self) -> ServingSettings:
        """The part of the configuration that the operators need."""
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
            remote_timeout_ms=self.remote_timeout_ms,
            remote_outage=self.remote_outage,
            remote_headers_file=self.remote_headers_file,
            remote_ca_file=self.remote_ca_file,
            dead_letter_limit=self.dead_letter_limit,
            result_limit=self.result_limit,
            host=self.host,
            stats_topic=self.stats_topic,
            bootstrap_servers=self.bootstrap_servers,
            kafka_config=self.kafka_config,
        )

    def check(self, parser: FlagParser) -> None:
        """Ends the program if values contradict each other. Call it once, after parsing."""
        if len(set(self.topics)) < len(self.topics):
            parser.refuse(
                "the topics must differ: --models-topic, --data-topic, --results-topic, … name one twice"
            )
