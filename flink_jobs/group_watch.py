"""Finds out when others read in a job's consumer groups, because Flink tells it only in its log.

The jobs assign partitions by themselves and only commit offsets under a group's name. Kafka refuses those
commits as long as the group has members. Any program that subscribes with the same name is a member.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence

from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.groups import GroupQuestion

__all__ = ["GroupWatch", "foreign_members"]

_EVERY_S = 10.0
_ANSWER_S = 8.0


def foreign_members(group: str, clients: Sequence[str]) -> str:
    """The line for the user about a consumer group that others read in; ``clients`` are their client ids."""
    return (
        f"others read in the consumer group '{group}' ({', '.join(clients)}): Kafka does not take the job's "
        "offsets as long as they do, and a start without a checkpoint would read records again; end them, or "
        "give the job a group of its own (--models-group, --data-group)"
    )


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
        question: GroupQuestion | None = None
        while not self._ended.wait(_EVERY_S):
            # Not before, because a start has enough connections to open.
            question = question or GroupQuestion(self._kafka, self._groups)
            answer = question.answer(timeout_s=_ANSWER_S)
            # While Kafka is away, which the job's own sources tell, nobody is known to have left.
            if answer is not None:
                self._found = answer

    def stop(self) -> None:
        """Ends the thread soon; does not wait for an answer of Kafka."""
        self._ended.set()
