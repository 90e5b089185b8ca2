"""Finds out who else reads in a consumer group.

The jobs assign partitions by themselves and only commit offsets under the group's name. Kafka refuses those
commits as long as the group has members. Any program that subscribes with the same name is a member.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

__all__ = ["GroupQuestion", "ask_members"]


class GroupQuestion:
    """A request to Kafka for the members of some groups, which may not be answered yet."""

    def __init__(self, answers: Mapping[str, Future[Any]]) -> None:
        self._answers = answers

    def is_answered(self) -> bool:
        """Whether ``members`` returns without waiting."""
        return all(answer.done() for answer in self._answers.values())

    def members(self, *, timeout_s: float) -> dict[str, list[str]]:
        """Group → the client ids of its members, for the groups that have members.

        A group without an answer within ``timeout_s`` seconds counts as a group without members.
        """
        found = {}
        for group, answer in self._answers.items():
            try:
                described = answer.result(timeout=timeout_s)
            except (KafkaException, TimeoutError):
                continue
            if described.members:
                found[group] = sorted({str(member.client_id) for member in described.members})
        return found


def ask_members(admin: AdminClient, groups: Collection[str], *, timeout_s: float) -> GroupQuestion:
    """Asks Kafka for the members of the groups, without waiting for the answer."""
    return GroupQuestion(admin.describe_consumer_groups(list(groups), request_timeout=timeout_s))
