"""Finds out who else reads in a consumer group.

The jobs assign partitions by themselves and only commit offsets under the group's name. Kafka refuses those
commits as long as the group has members. Any program that subscribes with the same name is a member.

``python -m model_serving.messaging.groups`` asks again and again, for a program that must not end with it:
librdkafka ends its process with a failed assertion when the broker dies during such a request.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Collection, Mapping
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.connection import client_settings

__all__ = ["GroupQuestion", "ask_members", "main", "request_for"]

_ASK_EVERY_S = 10.0
_ANSWER_S = 8.0


class GroupQuestion:
    """A request to Kafka for the members of some groups, which may not be answered yet."""

    def __init__(self, answers: Mapping[str, Future[Any]]) -> None:
        self._answers = answers

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


def request_for(kafka: KafkaAccess, groups: Collection[str]) -> str:
    """The line that :func:`main` reads first."""
    asked = {"servers": kafka.bootstrap_servers, "properties": dict(kafka.properties), "groups": list(groups)}
    return json.dumps(asked) + "\n"


def main() -> None:
    """Prints, every 10 seconds, a JSON object: group → the client ids of its members. Ends with its input."""
    asked = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_input, daemon=True).start()
    admin = AdminClient(client_settings(KafkaAccess(asked["servers"], asked["properties"])))
    while True:
        try:
            found = ask_members(admin, asked["groups"], timeout_s=_ANSWER_S).members(timeout_s=_ANSWER_S)
        except KafkaException:
            found = {}
        print(json.dumps(found), flush=True)
        time.sleep(_ASK_EVERY_S)


def _end_with_input() -> None:
    sys.stdin.read()
    # Not an ordinary exit, which would wait for an answer that is under way.
    os._exit(0)


if __name__ == "__main__":
    main()
