"""Finds the content in a model message without protobuf's library, which copies it at each step.

A copy of a large model takes many milliseconds, in which the interpreter does nothing else.
"""

from __future__ import annotations

from model_serving.core.protobuf_fields import BYTES, FIXED32, FIXED64, VARINT, read_varint
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor

__all__ = ["cut_content"]

_SMALL = 1 << 16
"""The size in bytes up to which copies do not matter."""

_MOST_FIELDS = 1000
_CONTENTS = {field.number for field in ModelDescriptor.DESCRIPTOR.oneofs_by_name["MessageContent"].fields}
_DATA = ModelDescriptor.DESCRIPTOR.fields_by_name["data"].number << 3 | BYTES


def cut_content(payload: bytes, start: int) -> tuple[bytes, memoryview | None]:
    """Returns a model message without its ``data``, and the data.

    Args:
        payload: the message; it need not be valid.
        start: where its fields begin.

    Returns:
        The payload as it is and None if it is small, has no ``data``, or it does not have it exactly once and
        no other content.
    """
    if len(payload) <= _SMALL:
        return payload, None
    found: tuple[int, int, int] | None = None
    try:
        place = start
        for _ in range(_MOST_FIELDS):
            if place >= len(payload):
                break
            tag, value, end = _field(payload, place)
            if tag >> 3 in _CONTENTS:
                if tag != _DATA or found:
                    return payload, None
                found = place, value, end
            place = end
    except ValueError:
        return payload, None
    if found is None or place != len(payload):
        return payload, None
    first, value, end = found
    view = memoryview(payload)
    return b"".join((view[:first], view[end:])), view[value:end]


def _field(payload: bytes, place: int) -> tuple[int, int, int]:
    """Returns the tag of the field at a place, where its value begins, and where it ends.

    Raises:
        ValueError: there is no field, or it is a group.
    """
    tag, value = read_varint(payload, place)
    kind = tag & 7
    if kind == VARINT:
        return tag, value, read_varint(payload, value)[1]
    if kind in {FIXED64, FIXED32}:
        return tag, value, value + (8 if kind == FIXED64 else 4)
    if kind != BYTES:
        raise ValueError("no field that a model message has")
    size, value = read_varint(payload, value)
    return tag, value, value + size
