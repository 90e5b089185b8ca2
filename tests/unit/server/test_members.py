"""Who counts as a member, since when, and who has taken over whose name."""

from __future__ import annotations

import json

from confluent_kafka import KafkaError

from model_serving.server.entries import Entry, Key, Kind
from model_serving.server.members import ALIVE_S, Members, Registration, Signs
from model_serving.server.mirror import Mirror
from tests.fake_kafka import failure
from tests.jobs import eventually
from tests.unit.server.states import FakeSender, StateLog


class Seconds:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def key(name: str) -> Key:
    return Key(Kind.MEMBER, "", name)


def sign(log: StateLog, name: str, start: str, since: int | None = None) -> int:
    entry = {"start": start} | ({} if since is None else {"since": since})
    return log.put(key(name), json.dumps(entry).encode())


def test_a_member_counts_for_what_is_written_after_it(mirror: Mirror, log: StateLog) -> None:
    members = Members(mirror, Seconds())
    first = sign(log, "one", "a")
    second = sign(log, "two", "b")
    assert members.before(first) == set()
    assert members.before(first + 1) == {"one"}
    assert members.before(second + 1) == {"one", "two"}
    # Later signs do not move the beginning.
    sign(log, "one", "a", first)
    assert members.before(second) == {"one"}


def test_a_silent_member_is_dead_until_it_shows_itself_again(mirror: Mirror, log: StateLog) -> None:
    clock = Seconds()
    members = Members(mirror, clock)
    since = sign(log, "one", "a")
    clock.now += ALIVE_S
    assert members.before(100) == {"one"}
    clock.now += 0.001
    assert members.before(100) == set()
    sign(log, "one", "a", since)
    assert members.before(since + 1) == {"one"}


def test_a_member_that_was_killed_and_stays_away_is_forgotten(mirror: Mirror, log: StateLog) -> None:
    """Where names come from containers, every restart would leave an entry for ever."""
    clock = Seconds()
    members = Members(mirror, clock)
    sign(log, "killed", "a")
    clock.now += 3_000
    sign(log, "living", "b")
    assert members.gone() == []
    clock.now += 601
    assert members.gone() == ["killed"]
    assert members.gone() == []


def test_a_member_that_leaves_is_gone_at_once_and_one_that_starts_again_begins_anew(
    mirror: Mirror, log: StateLog
) -> None:
    members = Members(mirror, Seconds())
    first = sign(log, "one", "a")
    again = sign(log, "one", "another process")
    assert members.before(again) == set()
    assert members.before(again + 1) == {"one"}
    log.put(key("one"), None)
    assert members.before(100) == set()
    assert first < again


def test_who_is_elected_later_knows_the_members_from_their_entries(mirror: Mirror, log: StateLog) -> None:
    """The log has only the last sign of each, which says since when the member counts."""
    since = sign(log, "one", "a")
    sign(log, "one", "a", since)
    unknown = sign(log, "two", "b")
    log.put(Key(Kind.STARTED), b"1")
    members = Members(mirror, Seconds())
    assert members.before(since + 1) == {"one"}
    assert members.before(unknown + 1) == {"one", "two"}
    members.close()
    log.put(key("one"), None)
    assert members.before(100) == {"one", "two"}


def test_a_registration_is_known_when_it_has_come_back_and_is_repeated(mirror: Mirror) -> None:
    sender = FakeSender()
    registration = Registration("one", sender, mirror)
    log = StateLog(mirror)
    log.put(Key(Kind.STARTED), b"1")
    registration.sign(100.0)
    registration.sign(101.9)
    (first,) = sender.sent
    assert (registration.is_known, first.value is None) == (False, False)
    assert set(json.loads(first.value or b"")) == {"start"}
    log.write(first)
    assert registration.is_known
    registration.sign(102.0)
    assert json.loads(sender.sent[1].value or b"") == json.loads(first.value or b"") | {"since": 1}
    registration.leave()
    assert sender.sent[2:] == [Entry(key("one"), None)]


def test_a_process_is_taken_over_by_the_next_of_its_name_and_not_by_the_one_before(
    mirror: Mirror, log: StateLog
) -> None:
    first_sender, second_sender = FakeSender(log), FakeSender()
    first = Registration("one", first_sender, mirror)
    first.sign(0.0)
    # The second process reads the topic from its beginning, too.
    second_mirror = Mirror()
    second = Registration("one", second_sender, second_mirror)
    second_log = StateLog(second_mirror)
    second_log.write(*first_sender.sent)
    second.sign(0.0)
    for follower in (log, second_log):
        follower.write(*second_sender.sent)
    assert (first.is_taken_over, second.is_taken_over) == (True, False)
    # The first has signed once more before it knew.
    second_log.write(*first_sender.sent)
    assert not second.is_taken_over
    # It leaves without taking the second one's entry away.
    sent = len(first_sender.sent)
    first.leave()
    assert len(first_sender.sent) == sent
    second_mirror.close()


def test_two_that_start_at_once_agree_who_goes_on(mirror: Mirror, log: StateLog) -> None:
    senders = FakeSender(), FakeSender()
    first, second = (Registration("one", sender, mirror) for sender in senders)
    for registration in (first, second):
        registration.sign(0.0)
    for sender in senders:
        log.write(*sender.sent)
    assert (first.is_taken_over, second.is_taken_over) == (True, False)


def test_other_names_and_deletions_take_nobody_over(mirror: Mirror, log: StateLog) -> None:
    registration = Registration("one", FakeSender(log), mirror)
    registration.sign(0.0)
    sign(log, "two", "b")
    log.put(key("one"), None)
    assert not registration.is_taken_over


def test_a_long_round_of_serving_is_no_silence_but_an_endless_one_is(mirror: Mirror) -> None:
    """Kafka leaves a member its partitions for ten minutes: so long it may still serve an old model."""
    clock, sender = Seconds(), FakeSender()
    signs = Signs(Registration("one", sender, mirror), clock)
    for _ in range(3):
        clock.now += 200
        signs.look()
    assert len(sender.sent) == 3
    clock.now += 2
    signs.look()
    assert len(sender.sent) == 3
    signs.tick()
    signs.look()
    assert len(sender.sent) == 4


def test_signs_begin_at_once_and_end_when_told_or_when_nothing_is_taken(mirror: Mirror) -> None:
    sender = FakeSender()
    signs = Signs(Registration("one", sender, mirror))
    signs.start()
    eventually(lambda: bool(sender.sent), lambda: "no sign", within_s=30, step_s=0.005)
    signs.stop()
    assert not signs.is_alive()
    sender.broken = failure(KafkaError.CLUSTER_AUTHORIZATION_FAILED)
    broken = Signs(Registration("two", sender, mirror))
    broken.start()
    broken.join(60)
    assert not broken.is_alive()
