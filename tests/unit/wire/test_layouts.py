"""Many records read at once have the same values as when protobuf's own parser reads each of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from model_serving.protos.winerecord_pb2 import WineRecord
from tests.protos.sensorreading_pb2 import SensorReading
from tests.unit.functions.made import codec_of
from tests.unit.functions.reference import (
    BYTES,
    FIXED32,
    FIXED64,
    GROUP,
    KINDS,
    MESSAGES,
    VARINT,
    Template,
    expected,
    told,
    wire,
)

pytestmark = pytest.mark.filterwarnings("error")


def check(message: Any, payloads: Sequence[bytes]) -> None:
    """Compares with protobuf: all messages twice (layouts are learnt), in reverse order, and one by one."""
    codec = codec_of(message)
    wanted = expected(message, payloads)
    assert told(codec, codec.decode(payloads)) == wanted
    assert told(codec, codec.decode(payloads)) == wanted
    backwards = payloads[::-1]
    assert told(codec, codec.decode(backwards)) == expected(message, backwards)
    for payload in payloads:
        assert told(codec, codec.decode([payload])) == expected(message, [payload])


def templates(message: Any) -> st.SearchStrategy[Template]:
    """Declared fields, and some unknown ones or ones with another wire type than declared."""
    right = [(field.number, KINDS.get(field.type, VARINT)) for field in message.DESCRIPTOR.fields]
    data_type = message.DESCRIPTOR.fields_by_name["dataType"].number
    widths = st.integers(1, 10)
    usual = st.sampled_from(right)
    odd = st.tuples(
        st.sampled_from([number for number, _ in right] + [100, 536_870_911]),
        st.sampled_from([VARINT, FIXED64, BYTES, GROUP, FIXED32]),
    )

    def build(fields: list[tuple[tuple[int, int], int]], order: int | None, routed: bool) -> Template:
        template = [(number, kind, width) for (number, kind), width in fields]
        if routed:
            template.append((data_type, BYTES, 1))
        if order is None:
            template.sort()
        else:
            Random(order).shuffle(template)
        return template

    fields = st.lists(st.tuples(usual | usual | usual | usual | odd, widths), max_size=16)
    return st.builds(
        build, fields, st.none() | st.integers(0, 99), st.sampled_from([True, True, True, False])
    )


def spoilt(random: Random, payload: bytes) -> bytes:
    """A message that is cut, has other bytes in it, or is noise of the same length."""
    way = random.randrange(4)
    at = random.randrange(len(payload) + 1)
    if way == 0:
        return payload[:at]
    if way == 1:
        return payload[:at] + random.randbytes(1) + payload[at + 1 :]
    if way == 2:
        return payload[:at] + random.randbytes(random.randrange(4)) + payload[at + random.randrange(4) :]
    return random.randbytes(len(payload))


def plain(payload: bytes) -> bytes:
    """The message without a leading byte 00, which would be a frame (see ``test_frames``)."""
    return b"\1" + payload[1:] if payload.startswith(b"\0") else payload


@st.composite
def vectors(draw: Callable[..., Any], message: Any) -> list[bytes]:
    """Messages of a few layouts in any order, some of them spoilt.

    Values come from one seed: if Hypothesis drew each one, messages of the same layout would be rare.
    """
    layouts = draw(st.lists(templates(message), min_size=1, max_size=4))
    random = Random(draw(st.integers(0, 2**32)))
    wildness = draw(st.sampled_from([0.0, 0.0, 0.1, 1.0]))
    damage = draw(st.sampled_from([0.0, 0.0, 0.1, 0.5]))
    payloads = []
    for _ in range(draw(st.integers(1, 60))):
        payload = wire(random, random.choice(layouts), random.random() < wildness)
        payloads.append(plain(spoilt(random, payload)) if random.random() < damage else payload)
    return payloads


@pytest.mark.parametrize("name", MESSAGES)
def test_messages_together_are_read_as_each_alone(name: str) -> None:
    @settings(max_examples=250, deadline=None)
    @given(vectors(MESSAGES[name]))
    @example([b""] * 20)
    @example([b"\xff"] * 20)
    def holds(payloads: list[bytes]) -> None:
        check(MESSAGES[name], payloads)

    holds()


FRAMES = (b"", b"\0\0\0\0\x11\0", b"\0\0\1\0\x12\2\0")
"""No frame, the frame of schema 17, and the frame of schema 65554 with the index 0 written in full."""


@pytest.mark.parametrize("name", MESSAGES)
def test_framed_messages_are_read_as_without_the_frame(name: str) -> None:
    codec, message = codec_of(MESSAGES[name]), MESSAGES[name]

    @settings(max_examples=100, deadline=None)
    @given(vectors(message), st.lists(st.sampled_from(FRAMES), min_size=1, max_size=5))
    def holds(payloads: list[bytes], frames: list[bytes]) -> None:
        framed = [frames[place % len(frames)] + payload for place, payload in enumerate(payloads)]
        content = dict(zip(framed, payloads, strict=True))
        wanted, bad = expected(message, payloads)
        for _ in range(2):
            records, refused = told(codec, codec.decode(framed))
            without = [
                (data_type, [(content[row[0]], *row[1:]) for row in rows]) for data_type, rows in records
            ]
            assert without == wanted
            assert [content[payload] for payload, _ in refused] == [payload for payload, _ in bad]

    holds()


WINES = st.builds(
    WineRecord,
    dataType=st.sampled_from(["wine", "beer", "rosé", "", "w" * 200]),
    ts=st.sampled_from([0, 1, -1, 1_700_000_000_123, 2**63 - 1]),
    **{
        field.name: st.sampled_from([0.0, 7.4, -0.0, math.nan])
        for field in WineRecord.DESCRIPTOR.fields
        if field.name not in ("dataType", "ts")
    },
)
READINGS = st.builds(
    SensorReading,
    dataType=st.sampled_from(["hall", "halls", "lab", ""]),
    ts=st.integers(-2, 2),
    room=st.sampled_from(["", "north", "nörd"]),
    window_open=st.booleans(),
    temperature=st.sampled_from([0.0, 20.5]),
    people=st.integers(-2, 2),
    grade=st.sampled_from([0, 1]),
    raw=st.sampled_from([b"", b"\xff", b"ab"]),
    past=st.lists(st.just(1.5), max_size=2),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(WINES, min_size=1, max_size=6), st.integers(1, 20))
def test_wines_of_any_presence(records: list[WineRecord], times: int) -> None:
    check(WineRecord, [record.SerializeToString() for record in records] * times)


@settings(max_examples=100, deadline=None)
@given(st.lists(READINGS, min_size=1, max_size=6), st.integers(1, 20))
def test_readings_of_any_presence(records: list[SensorReading], times: int) -> None:
    check(SensorReading, [record.SerializeToString() for record in records] * times)
