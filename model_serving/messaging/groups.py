"""Who else reads in a consumer group.

The jobs assign partitions by themselves and only commit offsets under the group's name. Kafka refuses those
commits as long as the group has members, which any program becomes that subscribes with the same name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

__all__ = ["GroupQuestion", "ask_members"]


class GroupQuestion:
    """A question that is under way: who is in these groups."""

    def __init__(self, answers: Mapping[str, Future[Any]]) -> None:
        self._answers = answers

    def is_answered(self) -> bool:
        """Whether ``members`` gives its answer without waiting."""
        return all(answer.done() for answer in self._answers.values())

    def members(self, *, timeout_s: float) -> dict[str, list[str]]:
        """Group → the client ids of its members, for the groups that have some.

        A group that cannot be asked about, or not within the time, counts as one without members.
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
    """Asks Kafka, and does not wait for the answer."""
    return GroupQuestion(admin.describe_consumer_groups(list(groups), request_timeout=timeout_s))
