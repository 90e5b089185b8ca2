"""Parses protobuf messages, with or without the frame that a schema registry's serializers put before them.

The frame (https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/) is a byte
00, the schema's id in four bytes (big endian), and for protobuf the place of the message type in its file:
the number of indexes and the indexes, as zigzag varints; 00 alone stands for the single index 0. A protobuf
message never begins with the byte 00, which would be a field with the number 0.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from google.protobuf.message import DecodeError

from model_serving.core.errors import UnparsableMessage
from model_serving.core.protobuf_fields import read_varint

__all__ = ["MessageParser"]

_MARK = b"\0"
_ID_END = 5
_ADVICE = "is the schema one of Avro or JSON? Send protobuf"
_DEEPEST = 32
"""The largest number of indexes of a message type: more than anybody nests."""

_LONGEST_VARINT = 10


class MessageParser:
    """Parses messages of one type, framed or not."""

    def __init__(self, message_class: Any) -> None:
        """``message_class`` is the generated class of the type."""
        self._class = message_class
        self._name = message_class.DESCRIPTOR.name
        self._indexes = _indexes_of(message_class.DESCRIPTOR)

    def parse(self, payload: bytes) -> Any:
        """The message.

        Raises:
            UnparsableMessage: the bytes are not a message of the type, or are framed as another type.
        """
        start = self.start(payload)
        try:
            return self._class.FromString(payload[start:] if start else payload)
        except DecodeError as error:
            why = str(error) or "truncated or not protobuf"
            if start:
                why = f"{_schema(payload)}, and what follows is not protobuf of this type ({why}): {_ADVICE}"
            raise UnparsableMessage(self._name, why) from None

    def start(self, payload: bytes) -> int:
        """Where the message begins: 0, or the end of its frame.

        Raises:
            UnparsableMessage: the frame is cut short, is not for protobuf, or is of another message type.
        """
        if not payload.startswith(_MARK):
            return 0
        if len(payload) < _ID_END:
            raise UnparsableMessage(
                self._name,
                f"it begins with the byte 00, as in a schema registry's frame, and ends after {len(payload)} "
                f"bytes, within the frame: {_ADVICE}",
            )
        if len(payload) == _ID_END:
            raise UnparsableMessage(self._name, f"{_schema(payload)}, and nothing follows the frame")
        indexes, start = _read_indexes(payload)
        if indexes is None:
            raise UnparsableMessage(
                self._name, f"{_schema(payload)}, but not in the way of protobuf messages: {_ADVICE}"
            )
        if indexes != self._indexes:
            raise UnparsableMessage(
                self._name,
                f"{_schema(payload)} as message {list(indexes)} of its file; this job reads message "
                f"{list(self._indexes)}, {self._name}: send that one, or start the job with the record type "
                "that is sent",
            )
        return start

    def unframed(self, payload: bytes) -> bytes:
        """The message without its frame.

        Raises:
            UnparsableMessage: see ``start``.
        """
        start = self.start(payload)
        return payload[start:] if start else payload


def _schema(payload: bytes) -> str:
    return f"framed with schema {int.from_bytes(payload[1:_ID_END])}"


def _read_indexes(payload: bytes) -> tuple[tuple[int, ...] | None, int]:
    """The indexes in a frame, and where the frame ends; None for bytes that are not indexes."""
    head = payload[: _ID_END + (1 + _DEEPEST) * _LONGEST_VARINT]
    try:
        count, at = _read_zigzag(head, _ID_END)
        if count == 0:
            return (0,), at
        if not 0 < count <= _DEEPEST:
            return None, at
        indexes = []
        for _ in range(count):
            index, at = _read_zigzag(head, at)
            indexes.append(index)
    except ValueError:
        return None, _ID_END
    return (tuple(indexes) if min(indexes) >= 0 else None), at


def _read_zigzag(payload: bytes, at: int) -> tuple[int, int]:
    value, at = read_varint(payload, at)
    return (value >> 1) ^ -(value & 1), at


def _indexes_of(descriptor: Descriptor) -> tuple[int, ...]:
    """The place of a message type in its file: the indexes of the types that it is nested in, and its own."""
    path = [descriptor.name]
    while descriptor.containing_type is not None:
        descriptor = descriptor.containing_type
        path.insert(0, descriptor.name)
    file = FileDescriptorProto()
    descriptor.file.CopyToProto(file)
    indexes = []
    types: Any = file.message_type
    for name in path:
        index = next(at for at, each in enumerate(types) if each.name == name)
        indexes.append(index)
        found: DescriptorProto = types[index]
        types = found.nested_type
    return tuple(indexes)
