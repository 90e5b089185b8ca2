"""Protobuf's encoding of fields in a message (https://protobuf.dev/programming-guides/encoding/)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from google.protobuf.descriptor import FieldDescriptor

__all__ = [
    "BYTES",
    "FIXED32",
    "FIXED64",
    "FIXED_TYPES",
    "GROUP",
    "VARINT",
    "VARINT_TYPES",
    "read_varint",
    "values_of",
]

VARINT, FIXED64, BYTES, GROUP, FIXED32 = 0, 1, 2, 3, 5
"""The wire types: the lowest three bits of a tag."""

FIXED_TYPES: Mapping[int, tuple[int, str]] = {
    FieldDescriptor.TYPE_DOUBLE: (FIXED64, "<f8"),
    FieldDescriptor.TYPE_FIXED64: (FIXED64, "<u8"),
    FieldDescriptor.TYPE_SFIXED64: (FIXED64, "<i8"),
    FieldDescriptor.TYPE_FLOAT: (FIXED32, "<f4"),
    FieldDescriptor.TYPE_FIXED32: (FIXED32, "<u4"),
    FieldDescriptor.TYPE_SFIXED32: (FIXED32, "<i4"),
}
"""Field type of a fixed length → its wire type and its numpy dtype."""

VARINT_TYPES = frozenset(
    {
        FieldDescriptor.TYPE_BOOL,
        FieldDescriptor.TYPE_INT32,
        FieldDescriptor.TYPE_INT64,
        FieldDescriptor.TYPE_SINT32,
        FieldDescriptor.TYPE_SINT64,
        FieldDescriptor.TYPE_UINT32,
        FieldDescriptor.TYPE_UINT64,
    }
)
"""The field types of numbers that are written as varints. Enums are written as varints, too."""

_MORE = 0x80
"""The bit of a varint's byte that says that another byte follows."""


def values_of(payload: bytes, start: int = 0) -> Iterator[tuple[int, int, int, int]]:
    """For each field: its number, its wire type, and where its value starts and ends; stops at a group.

    The message begins at ``start``, and protobuf's own parser must have read it without an error.
    """
    at = start
    while at < len(payload):
        tag, at = read_varint(payload, at)
        kind = tag & 7
        if kind == VARINT:
            end = read_varint(payload, at)[1]
        elif kind == FIXED64:
            end = at + 8
        elif kind == FIXED32:
            end = at + 4
        elif kind == BYTES:
            size, at = read_varint(payload, at)
            end = at + size
        else:
            kind, end = GROUP, len(payload)
        yield tag >> 3, kind, at, end
        at = end


def read_varint(payload: bytes, at: int) -> tuple[int, int]:
    """The value of the varint at ``at``, and where it ends.

    Raises:
        IndexError: the bytes end before the varint does.
    """
    value = shift = 0
    while True:
        byte = payload[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < _MORE:
            return value, at
        shift += 7
