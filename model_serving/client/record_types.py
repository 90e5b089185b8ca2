"""The protobuf message of a record, which the client fills in."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from model_serving.client.errors import WrongCall
from model_serving.wire import RecordCodec

__all__ = ["DEFAULT_RECORD_TYPE", "RecordType", "load_record_type"]

DEFAULT_RECORD_TYPE = "model_serving.protos.winerecord_pb2:WineRecord"

_DATA_TYPE, _TIME = "dataType", "ts"
_HOLD_EPOCH_MS = {FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64}


@dataclass(frozen=True, slots=True)
class RecordType:
    """A protobuf message with ``dataType`` and ``ts``, and the fields that models can take."""

    message: type[Message]
    fields: tuple[FieldDescriptor, ...]
    """In field-number order."""
    data_type: FieldDescriptor
    time: FieldDescriptor | None
    """None when the message has no field ``ts`` that holds epoch milliseconds."""

    @property
    def name(self) -> str:
        """The message's own name."""
        return str(self.message.DESCRIPTOR.name)

    def stamp(self, ts: int) -> bytes:
        """Returns bytes that give a serialized record the time ``ts``, epoch milliseconds, when appended."""
        if self.time is None:
            return b""
        return self.message(**{self.time.name: ts}).SerializePartialToString()


def load_record_type(name: str) -> RecordType:
    """Returns the record type with the name ``module:Message``, as the jobs take it.

    Raises:
        WrongCall: there is no such message, or it cannot be a record.
    """
    try:
        schema = RecordCodec(name).schema
    except ValueError as error:
        raise WrongCall(f"--record-type: {error}") from error
    module, _, class_name = name.partition(":")
    message: type[Message] = getattr(importlib.import_module(module), class_name)
    by_name = message.DESCRIPTOR.fields_by_name
    fields = sorted(
        (by_name[field] for field in (*schema.numeric, *schema.text)), key=lambda field: field.number
    )
    time = by_name.get(_TIME)
    if time in fields or (time is not None and time.cpp_type not in _HOLD_EPOCH_MS):
        time = None
    return RecordType(message, tuple(fields), by_name[_DATA_TYPE], time)
