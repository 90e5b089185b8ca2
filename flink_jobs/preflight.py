"""What is checked before a JVM starts, so that the user reads one line, not a stack trace."""

from __future__ import annotations

from collections.abc import Sequence

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from flink_jobs.config import DEAD_LETTER_BYTES, JobConfig
from model_serving.messaging.access import Refusals

__all__ = ["PreflightError", "check_broker"]

_TIMEOUT_S = 8.0


class PreflightError(Exception):
    """The job cannot start; the text is one line that says why and what to do."""


def check_broker(config: JobConfig) -> list[str]:
    """Makes sure that Kafka answers and that every topic of the job exists.

    Topics that do not exist are created with the broker's defaults, as Kafka itself does for producers; the
    dead-letter topic takes larger messages than the others.

    Returns:
        The topics that were created.

    Raises:
        PreflightError: Kafka does not answer, or a topic cannot be created.
    """
    # librdkafka's own log lines would drown the one line that the user needs.
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
    missing = [topic for topic in config.topics if topic not in existing]
    _create(admin, missing, config.dead_letter_topic)
    return missing


def _create(admin: AdminClient, topics: Sequence[str], dead_letter_topic: str) -> None:
    if not topics:
        return
    settings = {dead_letter_topic: {"max.message.bytes": str(DEAD_LETTER_BYTES)}}
    created = admin.create_topics(
        [
            NewTopic(topic, num_partitions=-1, replication_factor=-1, config=settings.get(topic, {}))
            for topic in topics
        ]
    )
    for topic, future in created.items():
        try:
            future.result(timeout=_TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].name() != "TOPIC_ALREADY_EXISTS":
                raise PreflightError(
                    f"the topic '{topic}' does not exist and cannot be created "
                    f"({error.args[0].str()}): create it"
                ) from None


def _silent() -> object:
    import logging

    logger = logging.getLogger("model-serving.preflight")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return logger
