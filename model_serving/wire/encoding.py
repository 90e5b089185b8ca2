"""The fields of a message as they are on the wire: which they are, and where their values stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from google.protobuf.descriptor import FieldDescriptor

from model_serving.core.protobuf_fields import BYTES, FIXED32, FIXED64, GROUP, VARINT, read_varint

__all__ = ["FIXED_TYPES", "VARINT_TYPES", "values_of"]

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
