"""ACTIVE is said when every member has swapped: who is asked, who may be missing, and what is left behind."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from model_serving.server.confirmations import Confirmations
from model_serving.server.entries import Entry, Key, Kind
from model_serving.server.members import ALIVE_S, Members
from model_serving.server.mirror import Mirror
from model_serving.server.view import StateView
from tests.unit.server.states import StateLog
from tests.unit.server.test_members import Seconds, sign


class Office:
    """What the elected member has for confirmations."""

    def __init__(self, log: StateLog, clock: Seconds) -> None:
        self.log = log
        self.view = StateView(log.mirror)
        self.members = Members(log.mirror, clock)
        self.confirmations = Confirmations(
            log.mirror, self.view, self.members, lambda order: b"made for " + order
        )

    def confirmed(self) -> list[bytes]:
        """Statuses, once what follows from them is in the state topic."""
        statuses = self.confirmations.confirmed()
        self.log.write(*self.view.written())
        return statuses

    def close(self) -> None:
        self.confirmations.close()
        self.members.close()
        self.view.close()


def activate(log: StateLog, sequence: int, data_type: str = "wine") -> None:
    log.put(Key(Kind.UNCONFIRMED, data_type, str(sequence)), f"{data_type} {sequence}".encode())


def report(
    log: StateLog, sequence: int, member: str, data_type: str = "wine", status: bytes | None = None
) -> None:
    said = f"{data_type} {sequence} {member}".encode() if status is None else status
    log.put(Key(Kind.REPORT, data_type, f"{sequence}/{member}"), said)


def left(mirror: Mirror) -> list[Key]:
    return mirror.keys(Kind.UNCONFIRMED) + mirror.keys(Kind.REPORT)


@pytest.fixture
def clock() -> Seconds:
    return Seconds()


@pytest.fixture
def office(log: StateLog, clock: Seconds) -> Iterator[Office]:
    made = Office(log, clock)
    yield made
    made.close()


def test_active_comes_once_when_all_members_have_swapped(office: Office, log: StateLog) -> None:
    sign(log, "one", "a")
    sign(log, "two", "b")
    activate(log, 1)
    assert (office.confirmations.waits, office.confirmed()) == (True, [])
    report(log, 1, "two")
    assert office.confirmed() == []
    report(log, 1, "one")
    assert office.confirmed() == [b"wine 1 two"]
    assert office.confirmed() == []
    assert not office.confirmations.waits
    assert left(log.mirror) == []


def test_a_member_that_registers_later_is_not_waited_for(office: Office, log: StateLog) -> None:
    sign(log, "one", "a")
    activate(log, 1)
    sign(log, "late", "b")
    report(log, 1, "one")
    assert office.confirmed() == [b"wine 1 one"]


def test_a_member_that_dies_or_leaves_is_not_waited_for(
    office: Office, log: StateLog, clock: Seconds
) -> None:
    since = sign(log, "one", "a")
    sign(log, "dies", "b")
    sign(log, "leaves", "c")
    activate(log, 1)
    report(log, 1, "one")
    log.put(Key(Kind.MEMBER, "", "leaves"), None)
    clock.now += ALIVE_S
    sign(log, "one", "a", since)
    assert office.confirmed() == []
    clock.now += 0.1
    assert office.confirmed() == [b"wine 1 one"]


def test_somebody_must_have_swapped(office: Office, log: StateLog, clock: Seconds) -> None:
    sign(log, "one", "a")
    activate(log, 1)
    clock.now += 2 * ALIVE_S
    assert office.confirmed() == []
    sign(log, "one", "started again")
    report(log, 1, "one")
    assert office.confirmed() == [b"wine 1 one"]


def test_a_later_activation_counts_for_the_earlier_ones(office: Office, log: StateLog) -> None:
    sign(log, "one", "a")
    sign(log, "two", "b")
    activate(log, 9)
    activate(log, 10)
    report(log, 9, "one")
    report(log, 10, "one")
    assert office.confirmed() == []
    # The second member starts with the later one.
    report(log, 10, "two")
    assert office.confirmed() == [b"wine 9 one", b"wine 10 one"]
    assert left(log.mirror) == []


def test_what_nobody_reports_any_more_is_said_all_the_same(office: Office, log: StateLog) -> None:
    """All members have died and started again, with the later activation."""
    activate(log, 1)
    activate(log, 2)
    sign(log, "one", "a")
    report(log, 2, "one")
    assert office.confirmed() == [b"made for wine 1", b"wine 2 one"]
    assert left(log.mirror) == []


def test_a_large_activation_is_said_too(office: Office, log: StateLog) -> None:
    large = b"x" * 2_000_000
    log.put(Key(Kind.UNCONFIRMED, "wine", "1"), large)
    activate(log, 2)
    report(log, 2, "one")
    assert office.confirmed() == [b"made for " + large, b"wine 2 one"]


def test_data_types_are_confirmed_by_themselves(office: Office, log: StateLog) -> None:
    sign(log, "one", "a")
    activate(log, 1, "wine")
    activate(log, 1, "beer")
    report(log, 1, "one", "beer")
    assert office.confirmed() == [b"beer 1 one"]
    assert left(log.mirror) == [Key(Kind.UNCONFIRMED, "wine", "1")]


def test_who_is_elected_next_goes_on_where_the_one_before_was(log: StateLog, clock: Seconds) -> None:
    sign(log, "one", "a")
    sign(log, "two", "b")
    activate(log, 1)
    report(log, 1, "one")
    first = Office(log, clock)
    assert first.confirmed() == []
    first.close()
    second = Office(log, clock)
    report(log, 1, "two")
    assert second.confirmed() == [b"wine 1 one"]
    second.close()
    assert left(log.mirror) == []


def test_what_the_member_before_has_confirmed_is_not_confirmed_again(log: StateLog, clock: Seconds) -> None:
    """The next one takes office while it still reads what the one before has written."""
    history = [
        Entry(Key(Kind.MEMBER, "", "one"), json.dumps({"start": "a"}).encode()),
        Entry(Key(Kind.UNCONFIRMED, "wine", "1"), b"1"),
        Entry(Key(Kind.REPORT, "wine", "1/one"), b"status"),
        Entry(Key(Kind.UNCONFIRMED, "wine", "1"), None),
        Entry(Key(Kind.REPORT, "wine", "1/one"), None),
    ]
    for known in range(len(history) + 1):
        mirror = Mirror()
        read = StateLog(mirror)
        read.write(*history[:known])
        office = Office(read, clock)
        read.write(*history[known:])
        assert office.confirmed() == [], f"after {known} messages"
        assert not office.confirmations.waits
        mirror.close()


def test_a_member_that_does_not_serve_the_model_is_not_said_to(office: Office, log: StateLog) -> None:
    """It has rejected the model itself; nobody waits for it any longer."""
    sign(log, "one", "a")
    sign(log, "two", "b")
    activate(log, 1)
    report(log, 1, "one")
    report(log, 1, "two", status=b"")
    assert [office.confirmed(), office.confirmed()] == [[], []]
    assert not office.confirmations.waits
    assert left(log.mirror) == []
