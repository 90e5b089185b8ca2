"""Entries of the state topic: split into messages, and joined again by the mirror."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_serving.server.entries import Entry, Key, Kind, decode_part, encode_parts, part_count

KEPT = Key(Kind.KEPT, "wine", "v1")
PART_BYTES = 900_000


@pytest.mark.parametrize(
    ("size", "parts"), [(0, 1), (1, 1), (PART_BYTES, 1), (PART_BYTES + 1, 2), (2_700_001, 4)]
)
def test_a_value_is_split_into_messages_that_every_topic_takes(size: int, parts: int) -> None:
    value = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    messages = list(encode_parts(Entry(KEPT, value)))
    assert (len(messages), part_count(value)) == (parts, parts)
    assert max(len(key) + len(message or b"") for key, message in messages) < 1_000_000
    read = [decode_part(*message) for message in messages]
    assert [(part.key, part.number, part.count) for part in read if part is not None] == [
        (KEPT, number, parts) for number in range(parts)
    ]
    assert b"".join(part.data or b"" for part in read if part is not None) == value
    assert len({part.digest for part in read if part is not None}) == 1


@given(st.text(), st.text(), st.binary(max_size=100))
def test_any_text_is_a_key_of_its_own(data_type: str, item: str, value: bytes) -> None:
    key = Key(Kind.PENDING, data_type, item)
    ((written, message),) = encode_parts(Entry(key, value))
    part = decode_part(written, message)
    assert part is not None
    assert (part.key, part.data) == (key, value)


def test_parts_of_other_values_have_other_digests() -> None:
    first, second = (
        decode_part(*next(encode_parts(Entry(KEPT, bytes([number]) * 1_000_000)))) for number in (1, 2)
    )
    assert first is not None
    assert second is not None
    assert first.digest != second.digest


def test_a_deletion_deletes_every_part() -> None:
    messages = list(encode_parts(Entry(KEPT, None, parts=3)))
    assert [value for _, value in messages] == [None] * 3
    read = [decode_part(*message) for message in messages]
    assert [(part.key, part.number, part.data) for part in read if part is not None] == [
        (KEPT, number, None) for number in range(3)
    ]


GOOD_KEY, GOOD_VALUE = next(encode_parts(Entry(KEPT, b"value")))


@pytest.mark.parametrize(
    "key",
    [
        b"",
        b"\xff",
        b"{}",
        b"7",
        b"null",
        b'["kept"]',
        b'["of a later version","wine","v1",0]',
        b'["kept",5,"v1",0]',
        b'["kept","wine",{},0]',
        b'["kept","wine","v1","0"]',
        b'["kept","wine","v1",true]',
        b'["kept","wine","v1",-1]',
        b'["kept","\\ud800","v1",0]',
        b"[" * 100_000,
    ],
)
@pytest.mark.parametrize("value", [GOOD_VALUE, None])
def test_a_message_with_another_key_is_ignored(key: bytes, value: bytes | None) -> None:
    assert decode_part(key, value) is None


@pytest.mark.parametrize(
    "value", [b"", b"\x01", b"\x02" + (GOOD_VALUE or b"")[1:], b"\x01\0\0\0\0" + b"x" * 8, b"text of others"]
)
def test_a_message_with_another_value_is_ignored(value: bytes) -> None:
    assert decode_part(GOOD_KEY, value) is None


def test_a_part_beyond_the_count_is_ignored() -> None:
    key = json.dumps(["kept", "wine", "v1", 1]).encode()
    assert decode_part(key, GOOD_VALUE) is None


def test_waiting_records_have_a_partition_of_their_own() -> None:
    assert {kind: kind.partition for kind in Kind if kind.partition} == {Kind.WAITING: 1}
