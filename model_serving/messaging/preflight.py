"""Checks Kafka and the topics before anything is served, so that the user reads one line about a fault."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from model_serving.core.letters import TEXTS_BYTES
from model_serving.messaging.access import KafkaAccess, Refusals
from model_serving.messaging.errors import MessagingError
from model_serving.messaging.limits import MessageLimits, message_limits
from model_serving.messaging.topics import (
    DEAD_LETTER_BYTES,
    MAX_MESSAGE_BYTES,
    TopicNames,
    partitions_of,
    topic_settings,
)

__all__ = ["CheckedTopics", "PreflightError", "Reached", "admin_for", "check_topics"]

Reached = tuple[AdminClient, frozenset[str]]
"""A client that has reached Kafka, and the names of the topics there."""

_TIMEOUT_S = 8.0
_BROKERS_DEFAULT = -1
_RESULT_BYTES = 1_000_000
"""The largest size of a result with a few thousand outputs."""


class PreflightError(MessagingError):
    """Serving cannot start; the text is one line that says why and what to do."""


@dataclass(frozen=True, slots=True)
class CheckedTopics:
    """The results of the check; the limits are the largest messages that the topics take, in bytes.

    ``news`` are lines for the user about what he may not expect.
    """

    dead_letter_limit: int
    result_limit: int
    news: tuple[str, ...] = ()


def admin_for(kafka: KafkaAccess) -> Reached:
    """A client that has reached Kafka, and the names of the topics there.

    Raises:
        PreflightError: Kafka does not answer, or does not let this client in.
    """
    # librdkafka's own log lines would hide the one line that the user needs.
    refusals = Refusals(kafka)
    admin = AdminClient({**kafka.librdkafka, **refusals.settings, "log_level": 0}, logger=_silent())
    try:
        return admin, frozenset(admin.list_topics(timeout=_TIMEOUT_S).topics)
    except KafkaException:
        if refused := refusals.told_to(admin):
            raise PreflightError(refused) from None
        raise PreflightError(
            f"no Kafka broker answers at {kafka.bootstrap_servers} (--bootstrap-servers): "
            "start one, for example with 'model-serving broker', or name the right address "
            "(with TLS or a login: with --kafka-config too)"
        ) from None


def check_topics(kafka: KafkaAccess, names: TopicNames, reached: Reached | None = None) -> CheckedTopics:
    """Makes sure that Kafka answers, and that every topic exists and takes what is written to it.

    Topics that do not exist are created with the settings of the embedded Kafka, or with the broker's
    defaults where it refuses those. ``reached`` is what ``admin_for`` gave, if it was called already.

    Raises:
        PreflightError: Kafka does not answer, a topic cannot be created, or a topic takes only messages that
            are too small.
    """
    admin, existing = reached or admin_for(kafka)
    missing = [topic for topic in names.all() if topic not in existing]
    _create(admin, missing, names)
    limits = message_limits(admin, names.all(), deadline_s=_TIMEOUT_S)
    _check_least(limits, names)
    return CheckedTopics(
        dead_letter_limit=min(limits.of(names.dead_letters), DEAD_LETTER_BYTES),
        result_limit=min(limits.of(names.results), DEAD_LETTER_BYTES),
        news=(
            *(f"the topic '{topic}' did not exist and was created" for topic in missing),
            *_size_news(limits, names),
        ),
    )


def _create(admin: AdminClient, topics: Sequence[str], names: TopicNames) -> None:
    if not topics:
        return
    refused = _try_to_create(admin, topics, names, topic_settings(names))
    # A broker may refuse topics that come with settings.
    refused = _try_to_create(admin, list(refused), names, {}) if refused else refused
    for topic, why in refused.items():
        raise PreflightError(f"the topic '{topic}' does not exist and cannot be created ({why}): create it")


def _try_to_create(
    admin: AdminClient, topics: Sequence[str], names: TopicNames, settings: dict[str, dict[str, str]]
) -> dict[str, str]:
    """Creates topics. Returns, for each topic that could not be created, why."""
    created = admin.create_topics(
        [
            NewTopic(
                topic,
                partitions_of(topic, names, _BROKERS_DEFAULT),
                replication_factor=_BROKERS_DEFAULT,
                config=settings.get(topic, {}),
            )
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


def _check_least(limits: MessageLimits, names: TopicNames) -> None:
    for topic in names.all():
        if topic != names.data and limits.of(topic) < TEXTS_BYTES:
            raise PreflightError(
                f"the topic '{topic}' takes messages of up to {limits.of(topic):,} bytes: "
                f"raise its max.message.bytes to {TEXTS_BYTES:,} at least"
            )


def _size_news(limits: MessageLimits, names: TopicNames) -> Iterator[str]:
    for topic, why in limits.unknown.items():
        yield (
            f"Kafka does not say how large a message the topic '{topic}' takes ({why}): "
            f"{limits.of(topic):,} bytes are assumed, its default"
        )
    arriving = min(max(limits.of(names.models), limits.of(names.data)), MAX_MESSAGE_BYTES)
    wanted = {
        names.dead_letters: (arriving + TEXTS_BYTES, "larger messages are cut there"),
        names.results: (_RESULT_BYTES, "larger results are written without their outputs"),
    }
    for topic, (most, consequence) in wanted.items():
        if limits.of(topic) < most:
            yield (
                f"the topic '{topic}' takes messages of up to {limits.of(topic):,} bytes and may get "
                f"{most:,}: {consequence}; raise its max.message.bytes to have them whole, "
                "then start the job again"
            )


def _silent() -> logging.Logger:
    logger = logging.getLogger("model-serving.preflight")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return logger
