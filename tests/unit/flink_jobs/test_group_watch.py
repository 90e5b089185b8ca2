"""The thread that asks who reads in a job's consumer groups, and what it tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from flink_jobs import group_watch
from flink_jobs.group_watch import GroupWatch, foreign_members
from model_serving.messaging.access import KafkaAccess
from tests.jobs import eventually


class Groups:
    """Who is in which group, and a question for it."""

    def __init__(self) -> None:
        self.members: Mapping[str, list[str]] = {}
        self.is_away = False
        self.asked = 0

    def answer(self, *, timeout_s: float) -> Mapping[str, list[str]] | None:
        self.asked += 1
        return None if self.is_away else self.members


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> Groups:
    made = Groups()
    monkeypatch.setattr(group_watch, "GroupQuestion", lambda _kafka, _groups: made)
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
    before = groups.asked
    # The answer to the first of them may be from before; the third comes when that to the second is there.
    eventually(lambda: groups.asked >= before + 3, lambda: str(groups.asked), within_s=30, step_s=0.001)
    return list(watch.news())


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
    assert told(watch, groups) == [foreign_members("data", ["c"])]
