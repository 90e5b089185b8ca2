"""Which records are read by a known layout, and how many go through protobuf's parser."""

from __future__ import annotations

import struct
from random import Random
from typing import Any

import pytest

from model_serving.protos.winerecord_pb2 import WineRecord
from tests.unit.functions.made import codec_of
from tests.unit.functions.reference import (
    DEFAULTS,
    KINDS,
    ONE_OF,
    SCALARS,
    VARINT,
    expected,
    told,
    varint,
    wire,
)

pytestmark = pytest.mark.filterwarnings("error")


class CountingParser:
    """A message class that counts what it parses."""

    def __init__(self, message: Any) -> None:
        self.DESCRIPTOR = message.DESCRIPTOR
        self.parsed = 0
        self._message = message

    def FromString(self, payload: bytes) -> Any:  # noqa: N802
        self.parsed += 1
        return self._message.FromString(payload)


class Counted:
    """A codec, and how many messages it leaves to protobuf's parser."""

    def __init__(self, message: Any) -> None:
        self._message = message
        self.codec = codec_of(message)
        self._parser = CountingParser(message)
        self.codec._parser._class = self._parser

    def parsed(self, payloads: list[bytes]) -> int:
        """How many of the messages were parsed; also checks that all are read correctly."""
        before = self._parser.parsed
        decoded = self.codec.decode(payloads)
        parsed = self._parser.parsed - before
        assert told(self.codec, decoded) == expected(self._message, payloads)
        return parsed


def wines(n: int, start: int = 1, data_type: str = "wine") -> list[bytes]:
    return [
        WineRecord(
            pH=start + place, alcohol=-1.5, dataType=data_type, ts=1_700_000_000_000 + place
        ).SerializeToString()
        for place in range(n)
    ]


def test_one_message_of_a_layout_is_parsed_and_none_once_it_is_known() -> None:
    counted = Counted(WineRecord)
    assert [counted.parsed(wines(1_000)), counted.parsed(wines(1_000, 5_000)), counted.parsed(wines(9))] == [
        1,
        0,
        0,
    ]


def test_a_few_messages_are_parsed_one_by_one() -> None:
    counted = Counted(WineRecord)
    assert [counted.parsed(wines(8)), counted.parsed(wines(9)), counted.parsed(wines(8))] == [8, 1, 8]


def test_layouts_and_data_types_may_be_mixed() -> None:
    counted = Counted(WineRecord)
    mixed = [
        payload
        for several in zip(
            wines(50),
            wines(50, data_type="beer"),
            wines(50, data_type="a cider"),
            # As long as the first ones, with other fields.
            [WineRecord(density=1, pH=2, dataType="wine", ts=2**40).SerializeToString()] * 50,
            strict=True,
        )
        for payload in several
    ]
    assert {len(payload) for payload in mixed} == {len(wines(1)[0]), len(wines(1, data_type="a cider")[0])}
    assert [counted.parsed(mixed), counted.parsed(mixed)] == [3, 0]


def test_every_kind_of_number_is_read_by_a_layout() -> None:
    fields = [field for field in SCALARS.DESCRIPTOR.fields if field.name not in ("raw", "many", "dataType")]
    template = [(field.number, KINDS.get(field.type, VARINT), 10) for field in fields]
    random = Random(7)
    payloads = [b"\x62\x01a" + wire(random, template, wild=False) for _ in range(500)]
    counted = Counted(SCALARS)
    assert [counted.parsed(payloads), counted.parsed(payloads)] == [1, 0]


def test_a_signalling_nan_is_read_without_a_word() -> None:
    payloads = [b"\x62\x01a\x15" + struct.pack("<I", 0x7F800000 + place) for place in range(1, 20)]
    assert Counted(SCALARS).parsed(payloads) == 1


def test_what_is_beyond_64_bits_in_a_varint_is_part_of_the_layout() -> None:
    """The tenth byte holds one bit of the value; only protobuf's parser decides about the others."""
    one, three = ([b"\x62\x01a\x20" + b"\x80" * 9 + tenth] * 10 for tenth in (b"\x01", b"\x03"))
    counted = Counted(SCALARS)
    assert [counted.parsed(one + three), counted.parsed(three + one)] == [2, 0]


def test_what_is_invalid_is_parsed_for_its_error_and_the_rest_is_not() -> None:
    counted = Counted(WineRecord)
    zeros = WineRecord(alcohol=1, pH=1, dataType="wine", ts=1_700_000_000_000).SerializeToString()
    zeros = zeros.replace(struct.pack("<d", 1), bytes(8))
    assert len(zeros) == len(wines(1)[0])
    assert [counted.parsed([*wines(100), zeros]), counted.parsed([zeros, *wines(100), zeros])] == [2, 2]


@pytest.mark.parametrize("letter", ["é", "\udc80"])
def test_a_text_beyond_ascii_is_left_to_the_parser(letter: str) -> None:
    counted = Counted(WineRecord)
    odd = [wine.replace(b"wine", b"wi" + letter.encode("utf-8", "surrogatepass")[:2]) for wine in wines(20)]
    assert [counted.parsed(wines(20)), counted.parsed([*wines(20), *odd])] == [1, len(odd) + 4]


LENGTH = len(wines(1)[0])


def garbage(random: Random) -> bytes:
    """Bytes that are not a message."""
    return b"\xff" + random.randbytes(LENGTH - 1)


def odd(random: Random) -> bytes:
    """A valid record, as long as the good ones; an unknown field makes all of them different."""
    record = b"\x49" + struct.pack("<d", 3.5) + b"\x62\x04odd!"
    room = LENGTH - len(record) - 3
    return record + b"\xaa\x06" + varint(room) + random.randbytes(room)


def unset(random: Random) -> bytes:
    """A message without a data type."""
    return b"\xaa\x06" + varint(LENGTH - 3) + random.randbytes(LENGTH - 3)


STRANGERS = {"garbage": garbage, "odd": odd, "unset": unset}


@pytest.mark.parametrize("kind", STRANGERS)
def test_good_messages_are_read_by_their_layout_after_any_number_of_strange_ones(kind: str) -> None:
    random, counted = Random(7), Counted(WineRecord)
    assert counted.parsed(wines(100)) == 1
    for _ in range(20):
        strange = [STRANGERS[kind](random) for _ in range(500)]
        assert {len(payload) for payload in strange} == {LENGTH}
        counted.parsed(strange)
    assert counted.parsed(wines(100)) <= 1
    assert counted.parsed(wines(100)) == 0


@pytest.mark.parametrize("kind", STRANGERS)
def test_good_messages_among_strange_ones_are_read_by_their_layout(kind: str) -> None:
    random, counted = Random(7), Counted(WineRecord)
    assert counted.parsed(wines(100)) == 1
    for _ in range(20):
        mixed = [*wines(100), *(STRANGERS[kind](random) for _ in range(100))]
        random.shuffle(mixed)
        assert 100 <= counted.parsed(mixed) <= 104


def test_what_is_remembered_is_bounded() -> None:
    random, counted = Random(7), Counted(WineRecord)
    for _ in range(10):
        counted.parsed([payload for _ in range(9) for payload in [odd(random)] * 9])
    for size in range(1, 400):
        counted.parsed(wines(9, data_type="w" * size))
        counted.parsed([b"\xff" * size] * 9)
    layouts = counted.codec._layouts
    assert len(layouts) == 256
    assert {len(known) for known in layouts.values()} <= set(range(9))
    # The latest layouts are remembered.
    assert counted.parsed(wines(9, data_type="w" * 399)) == 0
    assert counted.parsed(wines(9, data_type="w")) == 1


def test_the_latest_layouts_of_a_length_are_remembered() -> None:
    random, counted = Random(7), Counted(WineRecord)
    kinds = [[odd(random)] * 9 for _ in range(9)]
    assert [counted.parsed(kind) for kind in kinds] == [1] * 9
    assert [counted.parsed(kind) for kind in kinds[::-1]] == [0] * 8 + [1]


@pytest.mark.parametrize(
    ("message", "payload", "other"),
    [
        # number=1, then text="t", which clears it.
        (
            ONE_OF,
            b"\x0a\x01a\x19" + struct.pack("<d", 1) + b"\x22\x01t",
            b"\x0a\x01a\x19" + struct.pack("<d", 2) + b"\x22\x01u",
        ),
        # number=1, then raw, which no model can take, and which clears it too.
        (
            ONE_OF,
            b"\x0a\x01a\x30\x02\x19" + struct.pack("<d", 1) + b"\x2a\x01r",
            b"\x0a\x01a\x30\x04\x19" + struct.pack("<d", 2) + b"\x2a\x01r",
        ),
        # some is left out, and is 2.5 then.
        (
            DEFAULTS,
            b"\x0a\x01a\x10\x05\x22\x01t\x2d" + struct.pack("<f", 1),
            b"\x0a\x01b\x10\x06\x22\x01u\x2d" + struct.pack("<f", 2),
        ),
    ],
)
def test_what_only_the_parser_knows_is_left_to_it(message: Any, payload: bytes, other: bytes) -> None:
    payloads = [payload, other] * 10
    assert Counted(message).parsed(payloads) >= len(payloads)


def test_of_two_members_of_a_oneof_each_has_a_layout() -> None:
    counted = Counted(ONE_OF)
    numbers = [b"\x0a\x01a\x19" + struct.pack("<d", place) for place in range(1, 20)]
    texts = [b"\x0a\x01a\x22\x09" + b"text no %d" % place for place in range(1, 10)] * 2
    assert [counted.parsed(numbers), counted.parsed(texts), counted.parsed(numbers + texts)] == [1, 1, 0]
