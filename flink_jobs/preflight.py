"""Checks Kafka before a JVM starts, so that the user reads one line instead of a stack trace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from flink_jobs.config import JobConfig
from flink_jobs.group_watch import foreign_members
from model_serving.core.letters import TEXTS_BYTES
from model_serving.messaging.access import Refusals
from model_serving.messaging.groups import ask_members
from model_serving.messaging.limits import MessageLimits, message_limits
from model_serving.messaging.topics import DEAD_LETTER_BYTES, MAX_MESSAGE_BYTES, topic_settings

__all__ = ["Checked", "PreflightError", "check_broker"]

_TIMEOUT_S = 8.0
_GROUPS_S = 3.0
_RESULT_BYTES = 1_000_000
"""The largest size of a result with a few thousand outputs."""


class PreflightError(Exception):
    """The job cannot start; the text is one line that says why and what to do."""


@dataclass(frozen=True, slots=True)
class Checked:
    """The results of the check; the limits are the largest messages that the topics take, in bytes.

    ``news`` are lines for the user about what he may not expect. ``shared_groups`` are the consumer groups
    that others read in; ``news`` has a line about each.
    """

    dead_letter_limit: int
    result_limit: int
    news: tuple[str, ...] = ()
    shared_groups: tuple[str, ...] = ()


def check_broker(config: JobConfig) -> Checked:
    """Makes sure that Kafka answers, and that every topic of the job exists and takes what the job writes.

    Topics that do not exist are created with the settings of the embedded Kafka, or with the broker's
    defaults where it refuses those.

    Raises:
        PreflightError: Kafka does not answer, a topic cannot be created, or a topic takes only messages that
            are too small for the job.
    """
    # librdkafka's own log lines would hide the one line that the user needs.
    refusals = Refusals(config.kafka)
    settings = {**config.kafka.librdkafka, **refusals.settings, "log_level": 0}
    admin = AdminClient(settings, logger=_silent())
    try:
        existing = admin.list_topics(timeout=_TIMEOUT_S).topics
    except KafkaException:
        if refused := refusals.told_to(admin):
            raise PreflightError(refused) from None
        raise PreflightError(
            f"no Kafka broker answers at {config.bootstrap_servers} (--bootstrap-servers): "
            "start one, for example with 'model-serving broker', or name the right address "
            "(with TLS or a login: with --kafka-config too)"
        ) from None
    members = ask_members(admin, (config.models_group, config.data_group), timeout_s=_GROUPS_S)
    missing = [topic for topic in config.topics if topic not in existing]
    _create(admin, missing, config)
    limits = message_limits(admin, config.topics, deadline_s=_TIMEOUT_S)
    _check_least(limits, config)
    shared = members.members(timeout_s=_GROUPS_S)
    news = (
        *(f"the topic '{topic}' did not exist and was created" for topic in missing),
        *_size_news(limits, config),
        *(foreign_members(*found) for found in shared.items()),
    )
    return Checked(
        dead_letter_limit=min(limits.of(config.dead_letter_topic), DEAD_LETTER_BYTES),
        result_limit=min(limits.of(config.results_topic), DEAD_LETTER_BYTES),
        news=news,
        shared_groups=tuple(shared),
    )


def _create(admin: AdminClient, topics: Sequence[str], config: JobConfig) -> None:
    if not topics:
        return
    settings = topic_settings(config.topic_names)
    refused = _try_to_create(admin, topics, settings)
    # A broker may refuse topics that come with settings.
    refused = _try_to_create(admin, list(refused), {}) if refused else refused
    for topic, why in refused.items():
        raise PreflightError(f"the topic '{topic}' does not exist and cannot be created ({why}): create it")


def _try_to_create(
    admin: AdminClient, topics: Sequence[str], settings: dict[str, dict[str, str]]
) -> dict[str, str]:
    """Creates topics. Returns, for each topic that could not be created, why."""
    created = admin.create_topics(
        [
            NewTopic(topic, num_partitions=-1, replication_factor=-1, config=settings.get(topic, {}))
            for topic in topics
        ]
    )
    refused = {}
    for topic, future in created.items():
        try:
            future.result(timeout=_TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].name() != "TOPIC_ALREADY_EXISTS":
                refused[topic] = str(error.args[0].str())
    return refused


def _check_least(limits: MessageLimits, config: JobConfig) -> None:
    for topic in config.topics:
        if topic != config.data_topic and limits.of(topic) < TEXTS_BYTES:
            raise PreflightError(
                f"the topic '{topic}' takes messages of up to {limits.of(topic):,} bytes: "
                f"raise its max.message.bytes to {TEXTS_BYTES:,} at least"
            )


def _size_news(limits: MessageLimits, config: JobConfig) -> Iterator[str]:
    for topic, why in limits.unknown.items():
        yield (
            f"Kafka does not say how large a message the topic '{topic}' takes ({why}): "
            f"{limits.of(topic):,} bytes are assumed, its default"
        )
    arriving = min(max(limits.of(config.models_topic), limits.of(config.data_topic)), MAX_MESSAGE_BYTES)
    wanted = {
        config.dead_letter_topic: (arriving + TEXTS_BYTES, "larger messages are cut there"),
        config.results_topic: (_RESULT_BYTES, "larger results are written without their outputs"),
    }
    for topic, (most, consequence) in wanted.items():
        if limits.of(topic) < most:
            yield (
                f"the topic '{topic}' takes messages of up to {limits.of(topic):,} bytes and may get "
                f"{most:,}: {consequence}; raise its max.message.bytes to have them whole, "
                "then start the job again"
            )


def _silent() -> object:
    import logging

    logger = logging.getLogger("model-serving.preflight")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return logger
