"""A partition that nobody reads is seen after a while, by the member that has the fewest."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from itertools import pairwise

import pytest
from confluent_kafka import KafkaError

from model_serving.messaging.access import KafkaAccess
from model_serving.server import vacancies as module
from model_serving.server.clients import group_consumer_settings, member_named
from model_serving.server.vacancies import Vacancies
from tests.fake_kafka import failure
from tests.patience import Patience

NOTHING: frozenset[int] = frozenset()


class Shared:
    """A group that reads three partitions, and who looks at it as the member ``two``."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.told: Mapping[str, frozenset[int]] | None = None
        self.all = frozenset({0, 1, 2})
        self.is_away = False
        self.asked = threading.Event()
        self.vacancies = Vacancies("two", lambda: self, lambda: self.now_s)

    def partitions(self) -> frozenset[int]:
        return self.all

    def shares(self) -> Mapping[str, frozenset[int]] | None:
        self.asked.set()
        if self.is_away:
            raise failure(KafkaError._TIMED_OUT)
        return self.told

    def share(self, **members: set[int]) -> None:
        self.told = {name: frozenset(places) for name, places in members.items()}

    def look(self, after_s: float) -> frozenset[int]:
        """Lets ``after_s`` seconds pass, looks, and returns what was found."""
        self.now_s += after_s
        self.vacancies.look(self)
        return self.vacancies.take()


@pytest.fixture
def shared() -> Shared:
    return Shared()


def test_a_partition_without_a_reader_is_found_after_a_while_and_once(shared: Shared) -> None:
    shared.share(one={1, 2}, two=set())
    assert shared.look(0) == NOTHING
    assert shared.look(4.9) == NOTHING
    assert shared.look(0.1) == {0}
    assert shared.vacancies.take() == NOTHING


def test_a_partition_that_moves_in_time_is_not_found(shared: Shared) -> None:
    shared.share(one={1, 2}, two=set())
    assert shared.look(0) == NOTHING
    shared.share(one={1}, two={0})
    assert shared.look(4) == NOTHING
    shared.share(one={1, 2}, two=set())
    assert shared.look(4) == NOTHING


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"one": {0}, "two": {1, 2}}, id="another has fewer, nothing is vacant"),
        pytest.param({"one": set(), "two": {1}}, id="another has fewer"),
        pytest.param({"a": {1}, "two": {2}}, id="as many, and its name is first"),
    ],
)
def test_only_who_has_the_fewest_partitions_joins_anew(shared: Shared, members: dict[str, set[int]]) -> None:
    shared.share(**members)
    assert [shared.look(5) for _ in range(4)] == [NOTHING] * 4


def test_a_name_is_what_follows_in_the_client_id() -> None:
    settings = group_consumer_settings(KafkaAccess("nobody:1"), "group", "two", 0)
    assert member_named(str(settings["client.id"])) == "two"
    assert member_named("rdkafka") == ""


def test_members_without_a_name_are_not_chosen(shared: Shared) -> None:
    """They are no members of a server, so they would not join anew."""
    shared.told = {"": frozenset({1}), "two": frozenset({2})}
    assert [shared.look(5), shared.look(5)] == [NOTHING, {0}]


def test_while_the_group_shares_nothing_is_vacant(shared: Shared) -> None:
    shared.share(one={1, 2}, two=set())
    shared.look(0)
    shared.told = None
    assert shared.look(5) == NOTHING
    shared.share(one={1, 2}, two=set())
    assert [shared.look(1), shared.look(5)] == [NOTHING, {0}]


def test_a_partition_that_the_topic_gets_later_is_not_vacant(shared: Shared) -> None:
    """Members find it by themselves, after ``--partition-discovery-interval-ms``."""
    shared.share(one={0}, two={1, 2})
    shared.look(0)
    shared.all = frozenset({0, 1, 2, 3})
    assert [shared.look(5), shared.look(5)] == [NOTHING] * 2


def test_joining_anew_in_vain_is_repeated_ever_more_rarely(shared: Shared) -> None:
    shared.share(one={1, 2}, two=set())
    found = [shared.now_s for _ in range(1_500) if shared.look(1)]
    pauses = [after_s - before_s for before_s, after_s in pairwise(found)]
    assert pauses == [10, 20, 40, 80, 160, 320, 600]
    shared.share(one={1, 2}, two={0})
    shared.look(1)
    shared.share(one={1, 2}, two=set())
    assert [shared.look(600), shared.look(5), shared.look(9), shared.look(1)] == [NOTHING, {0}, NOTHING, {0}]


def test_the_thread_looks_until_it_is_stopped_and_outlives_a_kafka_that_is_away(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_EVERY_S", 0.001)
    shared.is_away = True
    shared.share(one={1, 2}, two=set())
    shared.vacancies.start()
    assert shared.asked.wait(30)
    shared.is_away = False
    waited = Patience(30)
    while not (found := shared.vacancies.take()) and not waited.is_over:
        shared.now_s += 5
        shared.asked.clear()
        assert shared.asked.wait(30)
    assert found == {0}
    shared.vacancies.stop()
    shared.vacancies.join(30)
    assert not shared.vacancies.is_alive()


def test_what_takes_long_is_asked_for_more_rarely(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    took_s = iter([0.0, 0.2, 5.0])
    pauses: list[float] = []

    def look(_: object) -> None:
        shared.now_s += next(took_s)

    def wait(pause_s: float) -> bool:
        pauses.append(round(pause_s, 6))
        return len(pauses) > 3

    monkeypatch.setattr(shared.vacancies, "look", look)
    monkeypatch.setattr(shared.vacancies._ended, "wait", wait)
    shared.vacancies.run()
    assert pauses == [2.5, 2.5, 4, 15]
