"""Records that wait go where their partition goes, and keep their order."""

from __future__ import annotations

import time

import pytest

from model_serving.core.state import encode_payloads
from model_serving.server.entries import Entry, Key, Kind
from model_serving.server.mirror import Mirror
from model_serving.server.waiting import WaitingInState
from tests.unit.server.states import StateLog


def wine(place: str) -> Key:
    return Key(Kind.WAITING, "wine", place)


def records(*payloads: bytes) -> bytes:
    return encode_payloads(payloads)


def add(waiting: WaitingInState, data_type: str, partition: int, *payloads: bytes) -> None:
    waiting.partition = partition
    waiting.add(data_type, records(*payloads), waiting.count(data_type) + len(payloads))


@pytest.fixture
def waiting(mirror: Mirror) -> WaitingInState:
    return WaitingInState(mirror)


def test_what_was_added_is_taken_by_partition_in_its_order(waiting: WaitingInState) -> None:
    add(waiting, "wine", 1, b"a", b"b")
    add(waiting, "wine", 0, b"c")
    add(waiting, "wine", 1, b"d")
    add(waiting, "beer", 1, b"e")
    assert (waiting.count("wine"), waiting.count("beer"), waiting.count("tea")) == (4, 1, 0)
    assert waiting.data_types() == ["wine", "beer"]
    assert waiting.written() == [
        Entry(wine("1/0"), records(b"a", b"b")),
        Entry(wine("0/0"), records(b"c")),
        Entry(wine("1/1"), records(b"d")),
        Entry(Key(Kind.WAITING, "beer", "1/0"), records(b"e")),
    ]
    assert waiting.take("wine") == [records(b"c"), records(b"a", b"b"), records(b"d")]
    assert waiting.written() == [Entry(wine(place), None) for place in ("0/0", "1/0", "1/1")]
    assert (waiting.count("wine"), waiting.take("wine"), waiting.written()) == (0, [], [])
    add(waiting, "wine", 1, b"f")
    assert waiting.written() == [Entry(wine("1/0"), records(b"f"))]


def test_ten_parts_keep_their_order(waiting: WaitingInState) -> None:
    """The numbers are not compared as texts."""
    for number in range(12):
        add(waiting, "wine", 10, str(number).encode())
        add(waiting, "wine", 9, str(number).encode())
    expected = [records(str(number).encode()) for number in range(12)]
    assert waiting.take("wine") == expected * 2


def test_records_go_with_their_partition(waiting: WaitingInState, log: StateLog) -> None:
    for partition in (0, 1):
        add(waiting, "wine", partition, b"a", b"b")
        add(waiting, "wine", partition, b"c")
    log.write(*waiting.written())
    waiting.went({1})
    assert (waiting.count("wine"), waiting.data_types(), waiting.written()) == (3, ["wine"], [])
    other = WaitingInState(log.mirror)
    other.came({1})
    assert other.count("wine") == 3
    add(other, "wine", 1, b"d")
    assert other.written() == [Entry(wine("1/2"), records(b"d"))]
    assert other.take("wine") == [records(b"a", b"b"), records(b"c"), records(b"d")]
    log.write(*other.written())
    waiting.went({0})
    assert (waiting.count("wine"), waiting.data_types()) == (0, [])
    waiting.came({0, 1})
    assert waiting.take("wine") == [records(b"a", b"b"), records(b"c")]


def test_a_deletion_covers_all_parts(waiting: WaitingInState, log: StateLog) -> None:
    add(waiting, "wine", 0, b"x" * 2_000_000)
    assert waiting.take("wine") == [records(b"x" * 2_000_000)]
    written = waiting.written()
    assert written[-1] == Entry(wine("0/0"), None, 3)
    log.write(*written)
    assert log.mirror.parts(wine("0/0")) == 0


def test_thirty_thousand_records_wait_one_by_one(waiting: WaitingInState) -> None:
    """The time for one does not depend on how many wait already."""
    start_s = time.process_time()
    for _ in range(30_000):
        add(waiting, "wine", 0, b"a")
    assert time.process_time() - start_s < 10
    assert waiting.count("wine") == 30_000
