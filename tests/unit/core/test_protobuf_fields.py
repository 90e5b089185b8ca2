"""The wire format is that of protobuf's own library."""

from __future__ import annotations

import pytest
from google.protobuf.wrappers_pb2 import BytesValue, Int64Value

from model_serving.core.protobuf_fields import BYTES, VARINT, bytes_field, read_varint, tag, varint

NUMBERS = (1, 127, 128, 300, 2**14 - 1, 2**14, 1_700_000_000_123, 2**63 - 1, -1, -(2**63))


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers(number: int) -> None:
    assert tag(1, VARINT) + varint(number) == Int64Value(value=number).SerializeToString()
    assert read_varint(b"?" + varint(number) + b"?", 1) == (number % 2**64, 1 + len(varint(number)))


def test_nothing_is_one_byte() -> None:
    assert varint(0) == b"\0"
    assert read_varint(memoryview(b"\0")) == (0, 1)


@pytest.mark.parametrize("size", [1, 127, 128, 20_000])
def test_bytes(size: int) -> None:
    assert bytes_field(1, b"x" * size) == BytesValue(value=b"x" * size).SerializeToString()
    assert bytes_field(1, memoryview(b"x" * size)) == bytes_field(1, b"x" * size)


@pytest.mark.parametrize("number", [15, 16, 2_047, 2_048, 2**29 - 1])
def test_fields_of_all_numbers(number: int) -> None:
    found, at = read_varint(bytes_field(number, b"ab"))
    assert (found >> 3, found & 7) == (number, BYTES)
    assert bytes_field(number, b"ab")[at:] == b"\x02ab"


@pytest.mark.parametrize("content", [b"", b"\x80", b"\xff" * 9, b"\xff" * 10 + b"\x01"])
def test_what_is_not_a_varint(content: bytes) -> None:
    with pytest.raises(ValueError, match="no varint"):
        read_varint(content)
