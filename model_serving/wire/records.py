"""Reads the records of the data topic, many at a time."""

from __future__ import annotations

import math
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from importlib import import_module
from operator import attrgetter, itemgetter
from typing import Any

import numpy as np
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from model_serving.core.batches import Decoded, Origins, RecordBatch
from model_serving.core.engine import Columns, RecordSchema
from model_serving.core.errors import InvalidRecord, ModelRejected, UnparsableMessage
from model_serving.wire.frames import MessageParser
from model_serving.wire.layouts import Layout, Table, learn_layout, table_of
from model_serving.wire.rows import PackedBatches, Places, Rows, pack, unpack
from model_serving.wire.wire_types import other_wire_types

__all__ = ["RecordCodec"]

_DATA_TYPE = "dataType"
_TIMESTAMP = "ts"

_INTEGERS = frozenset(
    {
        FieldDescriptor.CPPTYPE_INT32,
        FieldDescriptor.CPPTYPE_INT64,
        FieldDescriptor.CPPTYPE_UINT32,
        FieldDescriptor.CPPTYPE_UINT64,
    }
)
_NUMBERS = _INTEGERS | {
    FieldDescriptor.CPPTYPE_DOUBLE,
    FieldDescriptor.CPPTYPE_FLOAT,
    FieldDescriptor.CPPTYPE_BOOL,
}

_FEW = 8
"""Up to this many messages of one length, protobuf's parser is as fast as numpy with its cost per call."""

_LENGTHS = 256
_LAYOUTS = 8
"""For how many lengths layouts are remembered, and how many for each length: the latest that matched."""

_LONGEST = 64 * 1024
"""The largest size in bytes of a message that a layout is learnt from; the layout takes twice as much."""

_LESSONS = 4
"""How many layouts are learnt from the messages of one call and one length. Others are read one by one."""

_Refusal = UnparsableMessage | InvalidRecord


class RecordCodec:
    """Reads records of one protobuf message type, named ``module:Message``.

    The message has a string field ``dataType`` and may have an integer field ``ts``, the sender's clock in
    epoch milliseconds. Models can take its other singular number and string fields. A message may be in a
    schema registry's frame, and the payload of its record keeps the frame.

    Raises:
        ValueError: the message type does not exist, or cannot be a record type; the text says why.
    """

    def __init__(self, record_type: str) -> None:
        message_class = _message_class(record_type)
        self._message_class = message_class
        self._parser = MessageParser(message_class)
        fields = {field.name: field for field in message_class.DESCRIPTOR.fields}
        if _DATA_TYPE not in fields or not _is_text(fields[_DATA_TYPE]):
            raise ValueError(f"the message {record_type} has no string field '{_DATA_TYPE}' to route by")
        self._has_timestamp = _TIMESTAMP in fields and _is_integer(fields[_TIMESTAMP])
        reserved = (_DATA_TYPE, _TIMESTAMP) if self._has_timestamp else (_DATA_TYPE,)
        ordered = sorted(fields.values(), key=lambda field: field.number)
        features = [field for field in ordered if field.name not in reserved]
        self.schema = RecordSchema(
            name=message_class.DESCRIPTOR.name,
            numeric=tuple(field.name for field in features if _is_number(field)),
            text=tuple(field.name for field in features if _is_text(field)),
        )
        if not (self.schema.numeric or self.schema.text):
            raise ValueError(
                f"the message {record_type} has no number and no string field that a model could take"
            )
        self._numbers_of = _row_getter(self.schema.numeric)
        # The number fields for which a message says whether they are set. Other fields are 0 if not set.
        self._optional = {
            name: place
            for place, name in enumerate(self.schema.numeric)
            if fields[name].has_presence and not fields[name].has_default_value
        }
        self._texts_of = _row_getter(self.schema.text)
        names = (*self.schema.numeric, *self.schema.text, *reserved)
        self._wanted = {fields[name].number: fields[name] for name in names}
        self._layouts: OrderedDict[int, list[Layout]] = OrderedDict()

    def decode(self, payloads: Sequence[bytes], origins: Origins | None = None) -> Decoded:
        """Reads n messages. Batches are in the order of their first records, and records keep their order.

        The batches have the ``origins`` of their records, int64 of shape (n,), if they are given.
        """
        rows = Rows(len(payloads), self.schema)
        by_length = _places_by_length(payloads)
        refused: list[tuple[int, _Refusal]] = []
        for length, places in by_length.items():
            alike = len(places) > _FEW and length <= _LONGEST
            left = self._decode_alike(payloads, length, places, rows) if alike else places
            refused += self._decode_singly(payloads, left, rows)
        refused.sort(key=itemgetter(0))
        batches = rows.batches(payloads, origins)
        return Decoded(batches, [(payloads[place], error) for place, error in refused])

    def pack(self, batches: Sequence[RecordBatch]) -> PackedBatches:
        """Turns batches that this codec has read into plain values, for moving them to another operator."""
        return pack(batches)

    def unpack(self, packed: PackedBatches) -> list[RecordBatch]:
        """Batches that a codec of the same record type has packed; their arrays are read-only."""
        return unpack(packed, self.schema)

    def example(self, payload: bytes, fields: tuple[str, ...]) -> Columns:
        """The given fields of one encoded record, as one row.

        Raises:
            UnparsableMessage: the bytes are not a message of the record type.
            InvalidRecord: a field has another wire type than declared, the data type is empty, or no field
                that a model could take is set.
        """
        decoded = self.decode([payload])
        for _, error in decoded.refused:
            raise error
        return decoded.batches[0].features.columns(fields)

    def from_json(self, values: Mapping[str, Any], data_type: str, ts: int) -> bytes:
        """The message of a record that came as a JSON object, in protobuf's JSON form.

        Names of fields may differ in case and separators. Without a time, the record gets ``ts``, epoch
        milliseconds.

        Raises:
            InvalidRecord: the object is not a record of this type, or it has another data type.
        """
        names = {field.name for field in self._message_class.DESCRIPTOR.fields}
        message = self._message_class()
        try:
            # protobuf's function raises errors of many kinds for values of the wrong kind.
            json_format.ParseDict({self._spelled(name, names): one for name, one in values.items()}, message)
            if message.dataType not in ("", data_type):
                raise InvalidRecord(f"its dataType is '{message.dataType}', not '{data_type}': leave it out")
            message.dataType = data_type
            if self._has_timestamp and not message.ts:
                message.ts = ts
            payload: bytes = message.SerializeToString()
        except (
            json_format.Error,
            ArithmeticError,
            AttributeError,
            LookupError,
            TypeError,
            ValueError,
        ) as error:
            why = " ".join(str(error).split())[:500] or type(error).__name__
            raise InvalidRecord(f"this is not a {self.schema.name} ({why.rstrip('.')})") from None
        return payload

    def _spelled(self, name: str, names: Collection[str]) -> str:
        if name in names:
            return name
        try:
            return self.schema.field_named(name)
        except ModelRejected:
            return name

    def _decode_singly(
        self, payloads: Sequence[bytes], places: Iterable[int], rows: Rows
    ) -> list[tuple[int, _Refusal]]:
        refused: list[tuple[int, _Refusal]] = []
        for place in places:
            try:
                message = self._parse(payloads[place])
            except (UnparsableMessage, InvalidRecord) as error:
                refused.append((place, error))
            else:
                timestamp = message.ts if self._has_timestamp else 0
                numbers = list(self._numbers_of(message))
                for name, column in self._optional.items():
                    if not message.HasField(name):
                        numbers[column] = math.nan
                rows.put(place, message.dataType, timestamp, numbers, self._texts_of(message))
        return refused

    def _decode_alike(
        self, payloads: Sequence[bytes], length: int, places: Sequence[int], rows: Rows
    ) -> list[int]:
        """Reads messages of one length by their layouts. Returns the places of messages without a layout."""
        layouts = self._layouts.pop(length, [])
        self._layouts[length] = layouts
        if len(self._layouts) > _LENGTHS:
            self._layouts.popitem(last=False)
        left: list[int] = []
        whole = len(places) == len(payloads)
        pending = np.arange(len(places)) if whole else np.array(places)
        table = table_of(payloads if whole else [payloads[place] for place in places])
        known, lessons = list(layouts), 0
        while len(pending):
            if known:
                layout = known.pop(0)
            elif lessons < _LESSONS and len(pending) > _FEW:
                lessons += 1
                # Not from the first message: if a strange one always came first, no useful layout would be
                # learnt.
                at = len(pending) // 2
                learnt = self._learn(payloads[pending[at]])
                if learnt is None:
                    left.append(int(pending[at]))
                    table, pending = np.delete(table, at, axis=0), np.delete(pending, at)
                    continue
                layout = learnt
            else:
                break
            matching = layout.matches(table)
            if not matching.any():
                continue
            if not layouts or layouts[0] is not layout:
                # The layout that matched last is tried first.
                layouts[:] = [layout, *(other for other in layouts if other is not layout)][:_LAYOUTS]
            if matching.all():
                left += self._take(layout, table, pending, rows)
                return left
            left += self._take(layout, table[matching], pending[matching], rows)
            table, pending = table[~matching], pending[~matching]
        return [*left, *pending.tolist()]

    def _take(self, layout: Layout, table: Table, places: Places, rows: Rows) -> list[int]:
        """Reads messages that match. Returns the places of messages that are not valid records."""
        timestamps = layout.number(table, _TIMESTAMP) if self._has_timestamp else None
        numbers = layout.numbers(table)
        unset = [column for column in layout.absent if self.schema.numeric[column] in self._optional]
        texts = [layout.texts(table, name) or [""] * len(table) for name in self.schema.text]
        types = layout.places[_DATA_TYPE].one_or_all_texts(table)
        return rows.put_many(places, types, timestamps, numbers, texts, unset)

    def _learn(self, payload: bytes) -> Layout | None:
        try:
            self._parse(payload)
        except (UnparsableMessage, InvalidRecord):
            return None
        return learn_layout(payload, self._wanted, self.schema.numeric, self._parser.start(payload))

    def _parse(self, payload: bytes) -> Any:
        message = self._parser.parse(payload)
        wrong = other_wire_types(message)
        if wrong is not None:
            raise InvalidRecord(wrong)
        texts = self._texts_of(message)
        # In messages that are not proto3, a text that is not UTF-8 arrives as bytes.
        if bytes in map(type, (message.dataType, *texts)):
            raise UnparsableMessage(self.schema.name, "a text in it is not UTF-8")
        if not message.dataType:
            raise InvalidRecord(f"the {self.schema.name} has no {_DATA_TYPE}")
        if not (any(self._numbers_of(message)) or any(texts)):
            raise InvalidRecord(f"the {self.schema.name} has none of its fields set")
        return message


def _places_by_length(payloads: Sequence[bytes]) -> Mapping[int, Sequence[int]]:
    """The places of the messages of each length, in their order."""
    lengths = list(map(len, payloads))
    if lengths and lengths.count(lengths[0]) == len(lengths):
        # The usual case, for which a step of Python for each message would cost as much as its numbers.
        return {lengths[0]: range(len(lengths))}
    by_length: dict[int, list[int]] = defaultdict(list)
    for place, length in enumerate(lengths):
        by_length[length].append(place)
    return by_length


def _message_class(record_type: str) -> Any:
    module_name, _, name = record_type.partition(":")
    if not module_name or not name:
        raise ValueError(
            f"'{record_type}' is not of the form module:Message, such as my_messages.sensor_pb2:Sensor"
        )
    try:
        module = import_module(module_name)
    # A module of the user may raise anything, for example if its generated code is newer than protobuf.
    except Exception as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(
            f"the module {module_name} cannot be imported ({why}): install it, or put it on PYTHONPATH"
        ) from error
    message = getattr(module, name, None)
    if not (isinstance(message, type) and issubclass(message, Message)):
        raise ValueError(f"the module {module_name} has no protobuf message {name}")
    return message


def _is_number(field: FieldDescriptor) -> bool:
    return field.cpp_type in _NUMBERS and field.label != FieldDescriptor.LABEL_REPEATED


def _is_integer(field: FieldDescriptor) -> bool:
    return field.cpp_type in _INTEGERS and field.label != FieldDescriptor.LABEL_REPEATED


def _is_text(field: FieldDescriptor) -> bool:
    # ``cpp_type`` would be the same for bytes.
    return bool(field.type == FieldDescriptor.TYPE_STRING) and field.label != FieldDescriptor.LABEL_REPEATED


def _row_getter(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    if len(names) < 2:
        # attrgetter returns a value instead of a tuple for one name, and refuses an empty list of names.
        return lambda message: tuple(getattr(message, name) for name in names)
    return attrgetter(*names)
