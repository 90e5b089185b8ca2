"""Finds out when others read in a job's consumer groups, because Flink tells it only in its log."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.connection import client_settings
from model_serving.messaging.groups import GroupQuestion, ask_members

__all__ = ["GroupWatch", "foreign_members"]

_ASK_EVERY_S = 10.0
_ANSWER_S = 8.0


def foreign_members(group: str, clients: Sequence[str]) -> str:
    """The line for the user about a consumer group that others read in; ``clients`` are their client ids."""
    return (
        f"others read in the consumer group '{group}' ({', '.join(clients)}): Kafka does not take the job's "
        "offsets as long as they do, and a start without a checkpoint would read records again; end them, or "
        "give the job a group of its own (--models-group, --data-group)"
    )


class GroupWatch:
    """Asks Kafka every 10 seconds who is in the groups, and tells once when others read in a group.

    It tells again if they have left and others come. The job itself is never a member, because it assigns
    partitions by itself.
    """

    def __init__(self, kafka: KafkaAccess, groups: Collection[str], *, told: Collection[str] = ()) -> None:
        """``told`` are the groups that the user has already been told about."""
        self._groups = tuple(groups)
        self._admin = AdminClient(client_settings(kafka))
        self._question: GroupQuestion | None = None
        self._next_s = 0.0
        self._told = set(told)

    def news(self) -> Iterator[str]:
        """Lines about groups that others have joined since the last call; never waits."""
        now = time.monotonic()
        if self._question is None:
            if now >= self._next_s:
                self._next_s = now + _ASK_EVERY_S
                self._question = self._ask()
        elif self._question.is_answered():
            found = self._question.members(timeout_s=0)
            self._question = None
            for group in found.keys() - self._told:
                yield foreign_members(group, found[group])
            self._told = set(found)

    def _ask(self) -> GroupQuestion | None:
        try:
            return ask_members(self._admin, self._groups, timeout_s=_ANSWER_S)
        except KafkaException:
            return None
