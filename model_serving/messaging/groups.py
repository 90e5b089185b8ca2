"""Asks Kafka who is in a consumer group.

With the older of librdkafka's two calls: during the newer one, ``describe_consumer_groups``, librdkafka ends
its process with a failed assertion when a broker dies (confluentinc/librdkafka#4605). The older one asks
every broker, so it has no answer as long as one of them is away.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.connection import client_settings

__all__ = ["GroupMember", "GroupQuestion", "members_at_rest", "members_of", "partitions_by_topic"]

_STABLE = "Stable"
_CONSUMERS = "consumer"
"""The kind of group whose members share partitions. Kafka Connect's workers, for example, share tasks."""


@dataclass(frozen=True, slots=True)
class GroupMember:
    """A member of a consumer group, and the partitions of each topic that it was given."""

    client_id: str
    partitions: Mapping[str, frozenset[int]]


class GroupQuestion:
    """Asks for the members of some groups, as often as one likes."""

    def __init__(self, kafka: KafkaAccess, groups: Collection[str]) -> None:
        self._admin = AdminClient(client_settings(kafka))
        self._groups = groups

    def answer(self, *, timeout_s: float) -> dict[str, list[str]] | None:
        """See ``members_of``."""
        return members_of(self._admin, self._groups, timeout_s=timeout_s)


def members_of(
    admin: AdminClient, groups: Collection[str], *, timeout_s: float
) -> dict[str, list[str]] | None:
    """Group → the client ids of its members, sorted, for the groups that have members.

    None: Kafka does not answer within ``timeout_s`` seconds.
    """
    found = {}
    try:
        for group in dict.fromkeys(groups):
            told = _described(admin, group, timeout_s)
            clients = {str(member.client_id) for each in told for member in each.members}
            if clients:
                found[group] = sorted(clients)
    except KafkaException:
        return None
    return found


def members_at_rest(admin: AdminClient, group: str, *, timeout_s: float) -> list[GroupMember] | None:
    """The group's members and what they were given; None while they share partitions, or if there are none.

    Raises:
        KafkaException: Kafka does not answer within ``timeout_s`` seconds.
        ValueError: a member's share cannot be read.
    """
    for found in _described(admin, group, timeout_s):
        if found.state == _STABLE and found.protocol_type == _CONSUMERS:
            return [
                GroupMember(str(member.client_id), partitions_by_topic(member.assignment))
                for member in found.members
            ]
    return None


def partitions_by_topic(assignment: bytes) -> dict[str, frozenset[int]]:
    """Reads what a member of a consumer group was given: topic → partitions.

    The layout is Kafka's ``ConsumerProtocolAssignment.json``, of which all versions begin alike: an int16
    with the version, then an array of topics, each with an array of int32. What follows is not read.

    Raises:
        ValueError: the bytes end too early, or hold a length below zero.
    """
    given: dict[str, frozenset[int]] = {}
    if not assignment:
        return given
    try:
        (topics,) = struct.unpack_from(">i", assignment, 2)
        at = 6
        for _ in range(topics):
            (length,) = struct.unpack_from(">h", assignment, at)
            name, count = struct.unpack_from(f">{length}si", assignment, at + 2)
            at += 2 + length + 4
            places = struct.unpack_from(f">{count}i", assignment, at)
            at += 4 * count
            given[name.decode()] = given.get(name.decode(), frozenset()).union(places)
    except (struct.error, UnicodeDecodeError) as error:
        raise ValueError(f"what a member of a consumer group was given cannot be read: {error}") from error
    return given


def _described(admin: AdminClient, group: str, timeout_s: float) -> list[Any]:
    # The client's own types say that all attributes are None.
    described: list[Any] = admin.list_groups(group, timeout=timeout_s)
    return described
