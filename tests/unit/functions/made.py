"""Makes protobuf message types without generated code, and codecs for them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any
from unittest.mock import patch

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from model_serving.wire import RecordCodec

__all__ = ["Field", "codec_of", "made_message", "made_module"]

Field = descriptor_pb2.FieldDescriptorProto


def made_message(
    fields: Mapping[str, tuple[int, ...]],
    *,
    syntax: str = "proto3",
    oneof: tuple[str, ...] = (),
    defaults: Mapping[str, str] | None = None,
) -> Any:
    """The class of a message ``Made``; ``fields`` are (number, type) or (number, type, label) by name.

    ``oneof`` names the fields that exclude each other, ``defaults`` are the values of unset proto2 fields.
    """
    file = descriptor_pb2.FileDescriptorProto(name="made.proto", syntax=syntax)
    message = file.message_type.add(name="Made")
    if oneof:
        message.oneof_decl.add(name="one")
    for name, (number, kind, *label) in fields.items():
        field = message.field.add(name=name, number=number)
        field.type = kind  # type: ignore[assignment]
        field.label = label[0] if label else Field.LABEL_OPTIONAL  # type: ignore[assignment]
        if name in oneof:
            field.oneof_index = 0
        if defaults and name in defaults:
            field.default_value = defaults[name]
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("Made"))


def made_module(message: Any) -> ModuleType:
    """A module ``made_pb2`` like generated code."""
    module = ModuleType("made_pb2")
    module.Made = message  # type: ignore[attr-defined]
    return module


def codec_of(message: Any) -> RecordCodec:
    """A codec of the message, which may be made or generated."""
    with patch.dict(sys.modules, {"made_pb2": made_module(message)}):
        return RecordCodec("made_pb2:Made")
