"""Partitions of the data topic that nobody reads, though the group of the members is at rest.

A partition moves in two steps: who has it gives it up, and then the group shares once more (KIP-429). A
member that has a ``group.instance.id`` and starts again between them gets what it had, and nothing is shared
anew (KIP-345). So the second step never comes, and nobody reads the partition until a member comes or goes.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Protocol

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.groups import members_at_rest
from model_serving.server.clients import member_named, server_client

__all__ = ["Group", "KafkaGroup", "Vacancies"]

_EVERY_S, _LONGEST_EVERY_S = 2.5, 15.0
_COST = 20
"""How often it is asked: every 2.5 s, or after 20 times what the answer took, but every 15 s at least. Kafka
lists all of its groups for an answer, and a large cluster has thousands."""

_PATIENCE_S = 5.0
"""How long a partition may be without a reader. Its last one gives it up between two batches, so this may
take a while without anything being wrong."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 10.0, 600.0
"""How long to wait after joining anew. It does not help while the members do not know of a partition yet."""

_TIMEOUT_S = 5.0


class Group(Protocol):
    """What is asked about the group that reads a topic."""

    def partitions(self) -> frozenset[int]:
        """The partitions of the topic.

        Raises:
            KafkaException: Kafka does not answer.
        """
        ...

    def shares(self) -> Mapping[str, frozenset[int]] | None:
        """The partitions that each member was given, by its name ("" for what is no member of a server).

        None: the group is not at rest, because it shares the partitions now.

        Raises:
            KafkaException: Kafka does not answer.
            ValueError: the share of a member cannot be read.
        """
        ...


class KafkaGroup:
    """Asks Kafka. See Group."""

    def __init__(self, kafka: KafkaAccess, group: str, topic: str) -> None:
        self._admin = AdminClient(server_client(kafka))
        self._group = group
        self._topic = topic

    def partitions(self) -> frozenset[int]:
        """See Group."""
        topics = self._admin.list_topics(self._topic, timeout=_TIMEOUT_S).topics
        return frozenset(topics[self._topic].partitions)

    def shares(self) -> Mapping[str, frozenset[int]] | None:
        """See Group."""
        members = members_at_rest(self._admin, self._group, timeout_s=_TIMEOUT_S)
        if members is None:
            return None
        shares: defaultdict[str, frozenset[int]] = defaultdict(frozenset)
        for member in members:
            shares[member_named(member.client_id)] |= member.partitions.get(self._topic, frozenset())
        return shares


class Vacancies(threading.Thread):
    """Looks in a thread of its own; ``take`` says when this member has to join the group anew.

    The member that has the fewest partitions does so, because it gives them up for a moment.
    """

    def __init__(
        self, name: str, open_group: Callable[[], Group], monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        """``name`` is this member's (``--name``). The thread calls ``open_group`` once."""
        super().__init__(name="vacancies", daemon=True)
        self._name = name
        self._open_group = open_group
        self._monotonic_s = monotonic_s
        self._ended = threading.Event()
        self._known: frozenset[int] = frozenset()
        self._since_s: dict[int, float] = {}
        self._pause_s = _FIRST_PAUSE_S
        self._not_before_s = 0.0
        self._found: frozenset[int] = frozenset()

    def take(self) -> frozenset[int]:
        """Partitions that nobody reads until this member joins the group anew; each finding comes once."""
        found = self._found
        if found:
            self._found = frozenset()
        return found

    def look(self, group: Group) -> None:
        """Looks once.

        Raises:
            KafkaException: Kafka does not answer.
            ValueError: the share of a member cannot be read.
        """
        if not self._known:
            # Not those that the topic gets later: members find them by themselves, each in its time.
            self._known = group.partitions()
        shares = group.shares()
        if shares is None:
            self._since_s.clear()
            return
        now_s = self._monotonic_s()
        vacant = self._known.difference(*shares.values())
        self._since_s = {place: self._since_s.get(place, now_s) for place in vacant}
        if not vacant:
            self._pause_s = _FIRST_PAUSE_S
        long = frozenset(place for place, since_s in self._since_s.items() if now_s - since_s >= _PATIENCE_S)
        if long and now_s >= self._not_before_s and self._is_chosen(shares):
            self._not_before_s = now_s + self._pause_s
            self._pause_s = min(_LONGEST_PAUSE_S, 2 * self._pause_s)
            self._found = long

    def run(self) -> None:
        """Looks until ``stop`` is called."""
        group: Group | None = None
        pause_s = _EVERY_S
        while not self._ended.wait(pause_s):
            # Not before, because a start has enough connections to open.
            group = group or self._open_group()
            start_s = self._monotonic_s()
            try:
                self.look(group)
            except (KafkaException, ValueError):
                # Kafka is away, which others tell, or foreign members have shares of another kind. What was
                # seen before says nothing any more.
                self._since_s.clear()
            pause_s = min(_LONGEST_EVERY_S, max(_EVERY_S, _COST * (self._monotonic_s() - start_s)))

    def stop(self) -> None:
        """Ends the thread soon; does not wait for an answer of Kafka."""
        self._ended.set()

    def _is_chosen(self, shares: Mapping[str, frozenset[int]]) -> bool:
        named = [(len(places), name) for name, places in shares.items() if name]
        return bool(named) and min(named)[1] == self._name
