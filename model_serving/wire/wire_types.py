"""Finds fields that are sent with another wire type than they are declared with.

Examples are a float, an integer or a text in place of a double. Protobuf's parser keeps such a field among
the unknown fields without an error, so the declared field would be read as 0. The search costs half a
microsecond for a valid message, which has no unknown fields at all.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import FieldDescriptorProto
from google.protobuf.unknown_fields import UnknownFieldSet  # type: ignore[import-not-found]

from model_serving.core.protobuf_fields import BYTES, FIXED32, FIXED64, GROUP, VARINT
from model_serving.wire.encoding import FIXED_TYPES, VARINT_TYPES

__all__ = ["other_wire_types"]

_SENT = {
    VARINT: "varint (an integer?)",
    FIXED64: "fixed64 (a double?)",
    BYTES: "length-delimited bytes (a string?)",
    GROUP: "a group",
    FIXED32: "fixed32 (a float?)",
}


def other_wire_types(message: Any, within: str = "") -> str | None:
    """What is wrong with the wire types of a parsed message's declared fields, in one line; None if nothing.

    Packed and unpacked numbers of a repeated field are both right. Fields that the message type does not
    declare are ignored. ``within`` is put before the field's name, such as ``examples[0].``.
    """
    unknown = UnknownFieldSet(message)
    if not len(unknown):
        return None
    declared = message.DESCRIPTOR.fields_by_number
    wrong: dict[str, str] = {}
    for sent in unknown:
        field = declared.get(sent.field_number)
        # An unknown member of a closed enum is among the unknown fields, but has the right wire type.
        if field is None or sent.wire_type == _wire_type(field) or field.name in wrong:
            continue
        wrong[field.name] = (
            f"field {within}{field.name} is sent as {_SENT.get(sent.wire_type, 'something else')}, "
            f"{message.DESCRIPTOR.name} declares {_declared(field)}"
        )
    if not wrong:
        return None
    more = f" (and {len(wrong) - 1} more are sent with another type)" if len(wrong) > 1 else ""
    return f"{next(iter(wrong.values()))}{more}: send each field with its declared type"


def _wire_type(field: FieldDescriptor) -> int:
    if field.type in FIXED_TYPES:
        return FIXED_TYPES[field.type][0]
    if field.type in VARINT_TYPES or field.type == FieldDescriptor.TYPE_ENUM:
        return VARINT
    return GROUP if field.type == FieldDescriptor.TYPE_GROUP else BYTES


def _declared(field: FieldDescriptor) -> str:
    name = FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
    named = field.message_type or field.enum_type
    repeated = "repeated " if field.label == FieldDescriptor.LABEL_REPEATED else ""
    return f"{repeated}{name}" if named is None else f"{repeated}{name} {named.name}"
