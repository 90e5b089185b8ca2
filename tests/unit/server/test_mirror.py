"""The copy of the state topic: values, positions, changes, and many models in little memory."""

from __future__ import annotations

import threading
import time

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_serving.server.entries import Entry, Key, Kind
from model_serving.server.mirror import Change, Mirror
from tests.unit.server.states import StateLog, parts_of

WINE, BEER = Key(Kind.KEPT, "wine", "v1"), Key(Kind.KEPT, "beer", "v1")
LARGE = b"a" * 900_000 + b"b" * 900_000 + b"c"


def test_values_are_replaced_and_deleted(mirror: Mirror, log: StateLog) -> None:
    assert (mirror.get(WINE), mirror.offset(WINE), mirror.parts(WINE), mirror.keys(Kind.KEPT)) == (
        None,
        None,
        0,
        [],
    )
    log.put(WINE, b"one")
    log.put(BEER, b"")
    log.put(WINE, b"two")
    assert (mirror.get(WINE), mirror.get(BEER), mirror.offset(WINE)) == (b"two", b"", 2)
    assert sorted(mirror.keys(Kind.KEPT), key=str) == sorted([WINE, BEER], key=str)
    assert mirror.keys(Kind.KEPT, "wine") == [WINE]
    assert mirror.keys(Kind.HISTORY) == []
    log.put(WINE, None)
    assert (mirror.get(WINE), mirror.keys(Kind.KEPT)) == (None, [BEER])


def test_a_value_is_seen_when_all_of_its_parts_have_come(mirror: Mirror, log: StateLog) -> None:
    changes: list[Change] = []
    mirror.listen(changes.extend)
    parts = parts_of(Entry(WINE, LARGE))
    log.apply(parts[:2])
    assert (mirror.get(WINE), changes) == (None, [])
    log.apply(parts[2:])
    assert (mirror.get(WINE), mirror.parts(WINE), changes) == (LARGE, 3, [Change(WINE, 2, None)])


def test_parts_of_different_values_are_never_joined(mirror: Mirror, log: StateLog) -> None:
    log.put(WINE, LARGE)
    other = parts_of(Entry(WINE, LARGE[::-1]))
    for part in other[:-1]:
        log.apply([part])
        assert mirror.get(WINE) is None
    log.apply(other[-1:])
    assert mirror.get(WINE) == LARGE[::-1]


def test_a_smaller_value_does_not_show_the_rest_of_the_larger_one(mirror: Mirror, log: StateLog) -> None:
    log.put(WINE, LARGE)
    log.put(WINE, b"small")
    assert (mirror.get(WINE), mirror.parts(WINE)) == (b"small", 3)
    log.write(Entry(WINE, None, mirror.parts(WINE)))
    assert (mirror.get(WINE), mirror.parts(WINE)) == (None, 0)


def test_listeners_get_changes_in_their_order_until_they_are_forgotten(mirror: Mirror, log: StateLog) -> None:
    seen: list[list[Change]] = []
    mirror.listen(seen.append)
    log.write(Entry(WINE, b"one"), Entry(BEER, b"two"), Entry(WINE, None))
    assert seen == [[Change(WINE, 0, b"one"), Change(BEER, 1, b"two"), Change(WINE, 2, None)]]
    mirror.forget(seen.append)
    log.put(WINE, b"three")
    assert len(seen) == 1


@given(st.text(max_size=20), st.text(max_size=20), st.binary(max_size=20))
def test_any_text_is_a_key(data_type: str, item: str, value: bytes) -> None:
    mirror = Mirror()
    key = Key(Kind.CONTENT, data_type, item)
    StateLog(mirror).put(key, value)
    assert (mirror.get(key), mirror.keys(Kind.CONTENT)) == (value, [key])
    mirror.close()


def test_positions_of_all_partitions_are_waited_for(mirror: Mirror) -> None:
    mirror.apply([], {0: 5})
    assert mirror.has_reached({0: 5})
    assert mirror.has_reached({})
    assert not mirror.has_reached({0: 6})
    assert not mirror.has_reached({0: 5, 1: 0})
    assert not mirror.wait_until({0: 5, 1: 0}, timeout_s=0.01)
    waits = threading.Thread(target=lambda: reached.append(mirror.wait_until({0: 7, 1: 0}, timeout_s=60)))
    reached: list[bool] = []
    waits.start()
    mirror.apply([], {0: 7})
    mirror.apply([], {1: 0})
    waits.join(60)
    assert reached == [True]


def test_ten_thousand_models_are_applied_in_seconds_and_need_little_memory(
    mirror: Mirror, record_property: pytest.FixtureRequest
) -> None:
    """80 MB of content: the cache of the mirror is smaller, the rest is on disk."""
    models, size = 10_000, 8_000
    before = psutil.Process().memory_info().rss
    start_s = time.process_time()
    for start in range(0, models, 500):
        mirror.apply(
            [
                (number, part)
                for number in range(start, start + 500)
                for part in parts_of(
                    Entry(Key(Kind.KEPT, f"type {number}", "v1"), str(number).encode() * 2_000)
                )
            ],
            {0: start + 500},
        )
    assert len(mirror.keys(Kind.KEPT)) == models
    for number in range(0, models, 97):
        assert mirror.get(Key(Kind.KEPT, f"type {number}", "v1")) == str(number).encode() * 2_000
    took_s = time.process_time() - start_s
    grown = psutil.Process().memory_info().rss - before
    print(f"\n{models} models of about {size} bytes: {took_s:.1f} s of processor time, {grown >> 20} MB")
    assert took_s < 10
    assert grown < 60 << 20
