"""Protobuf's wire format, for what is read and written without protobuf's own library.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

__all__ = [
    "BYTES",
    "FIXED32",
    "FIXED64",
    "GROUP",
    "MORE",
    "VARINT",
    "any_field",
    "bytes_field",
    "read_varint",
    "tag",
    "varint",
]

VARINT, FIXED64, BYTES, GROUP, FIXED32 = 0, 1, 2, 3, 5
"""The wire types: the lowest three bits of a tag."""

MORE = 0x80
"""The bit of a varint's byte that says that another byte follows."""

_BITS = 64


def varint(number: int) -> bytes:
    """Returns a number of at most 64 bits as a varint; a negative one as its two's complement."""
    number &= 2**_BITS - 1
    encoded = bytearray()
    while number >= MORE:
        encoded.append(number & 0x7F | MORE)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def tag(number: int, kind: int) -> bytes:
    """Returns what stands before the value of the field with this number and wire type."""
    return varint(number << 3 | kind)


def bytes_field(number: int, value: bytes | memoryview) -> bytes:
    """Returns a field of bytes, text or a message."""
    size = len(value)
    # One byte each, as nearly always.
    short = number < 16 and size < MORE
    head = bytes((number << 3 | BYTES, size)) if short else tag(number, BYTES) + varint(size)
    return head + value


def any_field(number: int, kind: int, value: bytes | memoryview) -> bytes:
    """Returns a field with this wire type; the value of one that is not of bytes is encoded already."""
    return bytes_field(number, value) if kind == BYTES else tag(number, kind) + value


def read_varint(content: bytes | memoryview, at: int = 0) -> tuple[int, int]:
    """Returns the number of the varint at a place, and the place after it.

    Raises:
        ValueError: there is no varint: the content ends, or it is longer than ten bytes.
    """
    value = 0
    for shift in range(0, _BITS, 7):
        if at >= len(content):
            break
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < MORE:
            return value, at
    raise ValueError("no varint")
