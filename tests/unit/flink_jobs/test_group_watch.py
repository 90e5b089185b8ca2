"""The thread that asks who reads in a job's consumer groups, and what it tells."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError

from flink_jobs import group_watch
from flink_jobs.group_watch import GroupWatch, foreign_members, shared_groups
from model_serving.messaging.access import KafkaAccess
from tests.fake_kafka import failure
from tests.jobs import eventually


class Groups:
    """Who is in which group; Kafka's client asks it."""

    def __init__(self) -> None:
        self.members: Mapping[str, list[str]] = {}
        self.is_away = False
        self.asked = threading.Semaphore(0)

    def list_groups(self, group: str, timeout: float) -> list[SimpleNamespace]:
        self.asked.release()
        if self.is_away:
            raise failure(KafkaError._TRANSPORT)
        found = self.members.get(group)
        return (
            [] if found is None else [SimpleNamespace(members=[SimpleNamespace(client_id=c) for c in found])]
        )


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> Groups:
    made = Groups()
    monkeypatch.setattr(group_watch, "AdminClient", lambda _settings: made)
    monkeypatch.setattr(group_watch, "_EVERY_S", 0.001)
    return made


@pytest.fixture
def watch(groups: Groups) -> Iterator[GroupWatch]:
    made = GroupWatch(KafkaAccess("nobody:1"), ["models", "data"], told=["data"])
    made.start()
    yield made
    made.stop()
    made.join(30)
    assert not made.is_alive()


def told(watch: GroupWatch, groups: Groups) -> list[str]:
    """What is told after the groups have been asked anew."""
    lines: list[str] = []
    for _ in range(6):
        assert groups.asked.acquire(timeout=30)
    lines.extend(watch.news())
    return lines


def test_groups_without_members_or_unknown_ones_are_not_shared() -> None:
    groups = Groups()
    groups.members = {"models": [], "data": ["b", "a", "b"]}
    assert shared_groups(groups, ["models", "data", "none"], timeout_s=1) == {"data": ["a", "b"]}  # type: ignore[arg-type]


def test_others_are_told_once_and_again_after_they_have_left(groups: Groups, watch: GroupWatch) -> None:
    groups.members = {"models": ["a"], "data": ["told before"]}
    assert told(watch, groups) == [foreign_members("models", ["a"])]
    assert told(watch, groups) == []
    groups.members = {}
    assert told(watch, groups) == []
    groups.members = {"models": ["b"], "data": ["c"]}
    assert told(watch, groups) == [foreign_members("data", ["c"]), foreign_members("models", ["b"])]


def test_while_kafka_is_away_nothing_is_told_and_nobody_has_left(groups: Groups, watch: GroupWatch) -> None:
    groups.members = {"models": ["a"]}
    assert told(watch, groups) == [foreign_members("models", ["a"])]
    groups.is_away = True
    assert told(watch, groups) == []
    groups.is_away = False
    assert told(watch, groups) == []
    groups.members = {"models": ["a"], "data": ["c"]}
    eventually(lambda: list(watch.news()) == [foreign_members("data", ["c"])], str, within_s=20)
