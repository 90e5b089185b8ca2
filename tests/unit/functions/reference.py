"""Messages with fields of every type, random bytes for them, and the values that protobuf's parser reads."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from io import BytesIO
from random import Random
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from model_serving.core.batches import Decoded
from model_serving.protos.winerecord_pb2 import WineRecord
from model_serving.wire import RecordCodec
from tests.protos.sensorreading_pb2 import SensorReading
from tests.unit.functions.made import Field, made_message

__all__ = [
    "BYTES",
    "DEFAULTS",
    "FIXED32",
    "FIXED64",
    "GROUP",
    "KINDS",
    "MESSAGES",
    "ONE_OF",
    "SCALARS",
    "VARINT",
    "Template",
    "expected",
    "sent_otherwise",
    "told",
    "varint",
    "wire",
]

SCALARS = made_message(
    {
        "dataType": (12, Field.TYPE_STRING),
        "ts": (13, Field.TYPE_UINT64),
        "double": (1, Field.TYPE_DOUBLE),
        "float": (2, Field.TYPE_FLOAT),
        "int32": (3, Field.TYPE_INT32),
        "int64": (4, Field.TYPE_INT64),
        "uint32": (5, Field.TYPE_UINT32),
        "uint64": (6, Field.TYPE_UINT64),
        "sint32": (7, Field.TYPE_SINT32),
        "sint64": (8, Field.TYPE_SINT64),
        "fixed32": (9, Field.TYPE_FIXED32),
        "fixed64": (10, Field.TYPE_FIXED64),
        "sfixed32": (11, Field.TYPE_SFIXED32),
        "sfixed64": (16, Field.TYPE_SFIXED64),
        "bool": (17, Field.TYPE_BOOL),
        "text": (18, Field.TYPE_STRING),
        "raw": (19, Field.TYPE_BYTES),
        "many": (20, Field.TYPE_INT32, Field.LABEL_REPEATED),
    }
)
ONE_OF = made_message(
    {
        "dataType": (1, Field.TYPE_STRING),
        "ts": (2, Field.TYPE_SINT64),
        "number": (3, Field.TYPE_DOUBLE),
        "text": (4, Field.TYPE_STRING),
        "raw": (5, Field.TYPE_BYTES),
        "always": (6, Field.TYPE_SINT32),
    },
    oneof=("number", "text", "raw"),
)
DEFAULTS = made_message(
    {
        "dataType": (1, Field.TYPE_STRING),
        "ts": (2, Field.TYPE_INT64),
        "some": (3, Field.TYPE_DOUBLE),
        "text": (4, Field.TYPE_STRING),
        "none": (5, Field.TYPE_FLOAT),
    },
    syntax="proto2",
    defaults={"dataType": "hall", "ts": "-7", "some": "2.5", "text": "given"},
)
MESSAGES = {
    "wine": WineRecord,
    "sensor": SensorReading,
    "scalars": SCALARS,
    "oneof": ONE_OF,
    "defaults": DEFAULTS,
}

VARINT, FIXED64, BYTES, GROUP, END_GROUP, FIXED32 = range(6)
KINDS = {
    Field.TYPE_DOUBLE: FIXED64,
    Field.TYPE_FIXED64: FIXED64,
    Field.TYPE_SFIXED64: FIXED64,
    Field.TYPE_FLOAT: FIXED32,
    Field.TYPE_FIXED32: FIXED32,
    Field.TYPE_SFIXED32: FIXED32,
    Field.TYPE_STRING: BYTES,
    Field.TYPE_BYTES: BYTES,
}
"""Field type → wire type; other types are varints."""

Read = tuple[list[tuple[str, list[tuple[Any, ...]]]], list[tuple[bytes, str]]]
"""(payload, timestamp, numbers as hexadecimal, texts) by data type, and (payload, error) of refused messages.
The error of a field that is sent with another wire type than declared is cut after the field's name."""


def expected(message: Any, payloads: Sequence[bytes]) -> Read:
    """What protobuf's parser reads from each of the messages."""
    name = message.DESCRIPTOR.name
    fields = sorted(message.DESCRIPTOR.fields, key=lambda field: field.number)
    features = [
        field
        for field in fields
        if field.name not in ("dataType", "ts")
        and field.label != Field.LABEL_REPEATED
        and field.type not in (Field.TYPE_BYTES, Field.TYPE_ENUM)
    ]
    numeric = [field.name for field in features if field.type != Field.TYPE_STRING]
    textual = [field.name for field in features if field.type == Field.TYPE_STRING]
    records: dict[str, list[tuple[Any, ...]]] = {}
    refused = []
    for payload in payloads:
        try:
            record = message.FromString(payload)
        except DecodeError as error:
            refused.append((payload, f"not a {name} message: {error}"))
            continue
        numbers = [getattr(record, field) for field in numeric]
        texts = [getattr(record, field) for field in textual]
        if wrong := sent_otherwise(message, payload):
            refused.append((payload, f"field {wrong}"))
        elif any(isinstance(text, bytes) for text in (record.dataType, *texts)):
            refused.append((payload, f"not a {name} message: a text in it is not UTF-8"))
        elif not record.dataType:
            refused.append((payload, f"the {name} has no dataType"))
        elif not any(numbers) and not any(texts):
            refused.append((payload, f"the {name} has none of its fields set"))
        else:
            timestamp = (record.ts + 2**63) % 2**64 - 2**63
            values = [
                math.nan if _is_missing(record, field) else number
                for field, number in zip(numeric, numbers, strict=True)
            ]
            row = (payload, timestamp, [float(number).hex() for number in values], texts)
            records.setdefault(record.dataType, []).append(row)
    return list(records.items()), refused


def sent_otherwise(message: Any, payload: bytes) -> str:
    """The first field of a good message that has another wire type than declared; "" when there is none."""
    fields = message.DESCRIPTOR.fields_by_number
    groups = 0
    for number, kind in _tags(payload):
        field = fields.get(number)
        if kind == END_GROUP:
            groups -= 1
        elif field is not None and not groups and kind not in _right_kinds(field):
            return str(field.name)
        groups += kind == GROUP
    return ""


def _right_kinds(field: Any) -> set[int]:
    packed = {BYTES} if field.label == Field.LABEL_REPEATED else set()
    return {KINDS.get(field.type, VARINT)} | packed


def _tags(payload: bytes) -> Iterator[tuple[int, int]]:
    """Field number and wire type of each field, including fields in groups."""
    stream = BytesIO(payload)

    def number() -> int:
        value = shift = 0
        while True:
            byte = stream.read(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while stream.tell() < len(payload):
        tag = number()
        yield tag >> 3, tag & 7
        if tag & 7 == VARINT:
            number()
        else:
            stream.read(number() if tag & 7 == BYTES else {FIXED64: 8, FIXED32: 4}.get(tag & 7, 0))


def _is_missing(record: Any, name: str) -> bool:
    """Whether the record says that the field is not set, and the field has no default of its own."""
    field = record.DESCRIPTOR.fields_by_name[name]
    return field.has_presence and not field.has_default_value and not record.HasField(name)


def told(codec: RecordCodec, decoded: Decoded) -> Read:
    """The values that a codec reads. In hexadecimal, 0 and -0 differ, and NaN equals NaN."""
    numeric, textual = codec.schema.numeric, codec.schema.text
    records = []
    for batch in decoded.batches:
        rows = batch.features.columns((*textual, *numeric)).tolist()
        numbers = batch.features.columns(numeric)
        assert numbers.dtype == np.float64
        assert numbers.shape == (len(batch), len(numeric))
        assert batch.submission_ts.dtype == np.int64
        assert batch.submission_ts.shape == (len(batch),)
        records.append(
            (
                batch.data_type,
                [
                    (payload, ts, [number.hex() for number in numbers], row[: len(textual)])
                    for payload, ts, numbers, row in zip(
                        batch.payloads, batch.submission_ts.tolist(), numbers.tolist(), rows, strict=True
                    )
                ],
            )
        )
        assert [[value.hex() for value in row[len(textual) :]] for row in rows] == [
            hexadecimal for _, _, hexadecimal, _ in records[-1][1]
        ]
    return records, [(payload, str(error).partition(" is sent as ")[0]) for payload, error in decoded.refused]


def varint(number: int) -> bytes:
    number %= 2**64
    encoded = b""
    while number > 0x7F:
        encoded += bytes([number & 0x7F | 0x80])
        number >>= 7
    return encoded + bytes([number])


DOUBLES = (0.0, -0.0, 1.0, -2.5, math.nan, math.inf, -math.inf, 5e-324, 1e308)
LETTERS = ("a", "b", "z", "\0", "\x7f", "é", "ω", "€", "😀")


def value_of(random: Random, kind: int, width: int, wild: bool) -> bytes:
    """An encoded value of a wire type, with its length; values of the same kind and width are equally long.

    ``wild``: texts have bytes beyond ASCII, and a varint's tenth byte may have more than one bit.
    """
    zero = random.random() < 0.15
    if kind == VARINT:
        # Any varint of ``width`` bytes, which may be longer than necessary.
        middle = [
            0x80 | (0 if zero else random.choice((0, 0x7F, random.getrandbits(7)))) for _ in range(width - 1)
        ]
        last = (
            random.choice((0, 1, 0x7F, random.getrandbits(7)))
            if width < 10 or wild
            else random.getrandbits(1)
        )
        return bytes([*middle, 0 if zero else last])
    if kind == FIXED64:
        some = (bytes(8), struct.pack("<d", random.choice(DOUBLES)), random.randbytes(8))
        return some[0] if zero else random.choice(some)
    if kind == FIXED32:
        some = (bytes(4), struct.pack("<f", random.choice(DOUBLES[:7])), random.randbytes(4))
        return some[0] if zero else random.choice(some)
    if kind == BYTES:
        if not wild:
            return varint(width) + bytes(random.choice(b"abz\0\x7f") for _ in range(width))
        text = b""
        while len(text) < width:
            text += random.choice(LETTERS).encode()
        return varint(width) + text[:width]
    # A group is empty; ``wire`` adds its end.
    return b""


Template = list[tuple[int, int, int]]
"""(field number, wire type, width) of each field on the wire: repeated ones, unknown ones, in any order."""


def wire(random: Random, template: Template, wild: bool) -> bytes:
    payload = b""
    for number, kind, width in template:
        payload += varint(number << 3 | kind) + value_of(random, kind, width, wild)
        if kind == GROUP:
            payload += varint(number << 3 | END_GROUP)
    return payload
