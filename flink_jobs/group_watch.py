"""Finds out when others read in a job's consumer groups, because Flink tells it only in its log.

The jobs assign partitions by themselves and only commit offsets under a group's name. Kafka refuses those
commits as long as the group has members. Any program that subscribes with the same name is a member.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.connection import client_settings
from model_serving.messaging.groups import members_of

__all__ = ["GroupWatch", "foreign_members", "shared_groups"]

_EVERY_S = 10.0
_ANSWER_S = 8.0


def foreign_members(group: str, clients: Sequence[str]) -> str:
    """The line for the user about a consumer group that others read in; ``clients`` are their client ids."""
    return (
        f"others read in the consumer group '{group}' ({', '.join(clients)}): Kafka does not take the job's "
        "offsets as long as they do, and a start without a checkpoint would read records again; end them, or "
        "give the job a group of its own (--models-group, --data-group)"
    )


def shared_groups(admin: AdminClient, groups: Collection[str], *, timeout_s: float) -> dict[str, list[str]]:
    """Those of a job's groups that others read in: group → the client ids of its members.

    Raises:
        KafkaException: Kafka does not answer a question within ``timeout_s`` seconds.
    """
    found = {group: members_of(admin, group, timeout_s=timeout_s) for group in dict.fromkeys(groups)}
    return {group: clients for group, clients in found.items() if clients}


class GroupWatch(threading.Thread):
    """Asks Kafka every 10 seconds who is in the groups; tells once when others read in a group.

    It tells again if they have left and others come. The job itself is never a member.
    """

    def __init__(self, kafka: KafkaAccess, groups: Collection[str], *, told: Collection[str] = ()) -> None:
        """``told`` are the groups that the user has already been told about."""
        super().__init__(name="groups", daemon=True)
        self._kafka = kafka
        self._groups = groups
        self._told = frozenset(told)
        self._found: Mapping[str, list[str]] | None = None
        self._ended = threading.Event()

    def news(self) -> Iterator[str]:
        """Lines about groups that others have joined since the last call; never waits."""
        found = self._found
        if found is None:
            return
        new = found.keys() - self._told
        self._told = frozenset(found)
        for group in sorted(new):
            yield foreign_members(group, found[group])

    def run(self) -> None:
        """Asks until ``stop`` is called."""
        admin = AdminClient(client_settings(self._kafka))
        while not self._ended.wait(_EVERY_S):
            try:
                self._found = shared_groups(admin, self._groups, timeout_s=_ANSWER_S)
            except KafkaException:
                # Kafka is away, which the job's own sources tell.
                continue

    def stop(self) -> None:
        """Ends the thread soon; does not wait for an answer of Kafka."""
        self._ended.set()
