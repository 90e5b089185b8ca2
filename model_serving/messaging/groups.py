"""Asks Kafka who is in a consumer group.

With the older of librdkafka's two calls: during the newer one, ``describe_consumer_groups``, librdkafka ends
its process with a failed assertion when a broker dies (confluentinc/librdkafka#4605). The older one asks
every broker, so it has no answer as long as one of them is away.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka.admin import AdminClient

__all__ = ["GroupMember", "members_at_rest", "members_of", "partitions_by_topic"]

_STABLE = "Stable"
_CONSUMERS = "consumer"
"""The kind of group whose members share partitions. Kafka Connect's workers, for example, share tasks."""


@dataclass(frozen=True, slots=True)
class GroupMember:
    """A member of a consumer group, and the partitions of each topic that it was given."""

    client_id: str
    partitions: Mapping[str, frozenset[int]]


def members_of(admin: AdminClient, group: str, *, timeout_s: float) -> list[str]:
    """The client ids of the group's members, sorted; none if there is no such group.

    Raises:
        KafkaException: Kafka does not answer within ``timeout_s`` seconds.
    """
    return sorted(
        {str(member.client_id) for found in _described(admin, group, timeout_s) for member in found.members}
    )


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
