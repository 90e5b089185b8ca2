"""Checks Kafka before a JVM starts, so that the user reads one line instead of a stack trace."""

from __future__ import annotations

from dataclasses import dataclass

from flink_jobs.config import JobConfig
from flink_jobs.group_watch import foreign_members
from model_serving.messaging.groups import members_of
from model_serving.messaging.preflight import CheckedTopics, PreflightError, admin_for, check_topics

__all__ = ["Checked", "PreflightError", "check_broker"]

_GROUPS_S = 3.0


@dataclass(frozen=True, slots=True)
class Checked(CheckedTopics):
    """The results of the check. ``shared_groups`` are the consumer groups that others read in.

    ``news`` has a line about each of these groups too.
    """

    shared_groups: tuple[str, ...] = ()


def check_broker(config: JobConfig) -> Checked:
    """Makes sure that Kafka answers, that the topics are fit for the job, and that its groups are free.

    Raises:
        PreflightError: see ``check_topics``.
    """
    admin, existing = admin_for(config.kafka)
    topics = check_topics(config.kafka, config.topic_names, (admin, existing))
    # Without an answer now, it is asked again while the job runs.
    shared = members_of(admin, (config.models_group, config.data_group), timeout_s=_GROUPS_S) or {}
    return Checked(
        dead_letter_limit=topics.dead_letter_limit,
        result_limit=topics.result_limit,
        news=(*topics.news, *(foreign_members(*found) for found in shared.items())),
        shared_groups=tuple(shared),
    )
