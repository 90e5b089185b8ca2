"""A known field that is sent with another wire type than declared is an error and is never read as 0."""

from __future__ import annotations

import struct

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from model_serving.core.errors import InvalidRecord, ModelRejected
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.winerecord_pb2 import WineRecord
from model_serving.wire import ModelMessages, RecordCodec, parse_descriptor, read_model
from tests.protos.sensorreading_pb2 import SensorReading
from tests.unit.functions.made import Field, codec_of
from tests.unit.functions.reference import BYTES, FIXED32, FIXED64, KINDS, MESSAGES, VARINT, varint

WINE = "model_serving.protos.winerecord_pb2:WineRecord"
VALUES = {
    VARINT: b"\x07",
    FIXED64: struct.pack("<d", 9.4),
    BYTES: b"\x039.4",
    FIXED32: struct.pack("<f", 9.4),
}
SPELLED = {
    VARINT: "varint (an integer?)",
    FIXED64: "fixed64 (a double?)",
    BYTES: "length-delimited bytes (a string?)",
    FIXED32: "fixed32 (a float?)",
}


def sent(number: int, kind: int) -> bytes:
    return varint(number << 3 | kind) + VALUES[kind]


def wine(place: int = 0) -> bytes:
    return WineRecord(pH=3.5, dataType="wine", ts=1_700_000_000_000 + place).SerializeToString()


@pytest.mark.parametrize("kind", [FIXED32, VARINT, BYTES])
def test_alcohol_that_is_no_double_is_an_invalid_record(kind: int) -> None:
    (refused,) = RecordCodec(WINE).decode([wine() + sent(11, kind)]).refused
    assert isinstance(refused[1], InvalidRecord)
    assert str(refused[1]) == (
        f"field alcohol is sent as {SPELLED[kind]}, WineRecord declares double: "
        "send each field with its declared type"
    )


EVERY = [
    (name, field.name, kind)
    for name, message in MESSAGES.items()
    for field in message.DESCRIPTOR.fields
    for kind in VALUES
    if kind != KINDS.get(field.type, VARINT) and not (kind == BYTES and field.label == Field.LABEL_REPEATED)
]


@pytest.mark.parametrize(("name", "field", "kind"), EVERY)
def test_every_field_of_every_record_type_alone_and_among_many(name: str, field: str, kind: int) -> None:
    message = MESSAGES[name]
    descriptor = message.DESCRIPTOR.fields_by_name
    number = next(
        one.number for one in descriptor.values() if one.type in (Field.TYPE_DOUBLE, Field.TYPE_FLOAT)
    )
    real = FIXED64 if descriptor[message.DESCRIPTOR.fields_by_number[number].name].type == 1 else FIXED32
    good = sent(number, real) + sent(descriptor["dataType"].number, BYTES)
    bad = good + sent(descriptor[field].number, kind)
    # As long as the bad message, with an unknown field.
    room = len(bad) - len(good)
    filler = b"\xf8\x07" + bytes([0x80] * (room - 3)) + b"\0" if room > 2 else b""
    codec = codec_of(message)
    assert [str(error).partition(" is sent")[0] for _, error in codec.decode([bad]).refused] == [
        f"field {field}"
    ]
    for _ in range(2):
        decoded = codec.decode([good + filler] * 40 + [bad] * 20 + [good + filler] * 40)
        assert {type(error) for _, error in decoded.refused} == {InvalidRecord}
        assert [payload for payload, _ in decoded.refused] == [bad] * 20
        (batch,) = decoded.batches
        assert len(batch) == 80


def test_many_records_with_a_float_are_refused_and_their_neighbours_are_scored() -> None:
    """As many messages of one length as are needed for a layout to be learnt."""
    codec = RecordCodec(WINE)
    floats = [wine(place) + sent(11, FIXED32) for place in range(100)]
    doubles = [wine(place) + sent(11, FIXED64) for place in range(100)]
    # Four bytes that no field takes, so that all are equally long.
    short = [wine(place) + b"\xfd\x07" + bytes(4) for place in range(100)]
    padded = [payload + b"\xf8\x07\x01"[: len(doubles[0]) - len(payload)] for payload in floats]
    for payloads in (floats + doubles, doubles + floats, short + padded, floats):
        mixed = [
            payload
            for pair in zip(payloads[: len(payloads) // 2], payloads[len(payloads) // 2 :], strict=True)
            for payload in pair
        ]
        decoded = codec.decode(mixed)
        bad = {*floats, *padded}
        assert [payload for payload, _ in decoded.refused] == [one for one in mixed if one in bad]
        assert [payload for batch in decoded.batches for payload in batch.payloads] == [
            one for one in mixed if one not in bad
        ]


def test_the_last_of_two_does_not_hide_the_other() -> None:
    codec = RecordCodec(WINE)
    for payload in (
        sent(11, FIXED64) + wine() + sent(11, FIXED32),
        sent(11, FIXED32) + wine() + sent(11, FIXED64),
    ):
        assert [str(error)[:13] for _, error in codec.decode([payload] * 20).refused] == [
            "field alcohol"
        ] * 20


def test_how_many_fields_are_wrong_is_told() -> None:
    payload = b"\x62\x04wine" + b"".join(sent(number, FIXED32) for number in (1, 2, 2, 3))
    ((_, error),) = RecordCodec(WINE).decode([payload]).refused
    assert str(error) == (
        "field fixed_acidity is sent as fixed32 (a float?), WineRecord declares double (and 2 more are sent "
        "with another type): send each field with its declared type"
    )


def test_a_group_where_a_number_belongs() -> None:
    ((_, error),) = RecordCodec(WINE).decode([wine() + b"\x5b\x5c"]).refused
    assert str(error).startswith("field alcohol is sent as a group, WineRecord declares double")


def test_repeated_numbers_may_be_packed_or_not() -> None:
    double = struct.pack("<d", 1.5)
    reading = SensorReading(dataType="hall", temperature=20.5).SerializeToString()
    packed, unpacked = reading + b"\x52\x08" + double, reading + b"\x51" + double
    codec = codec_of(SensorReading)
    for payloads in ([packed, unpacked], [packed, unpacked] * 20):
        decoded = codec.decode(payloads)
        assert decoded.refused == []
        assert sum(map(len, decoded.batches)) == len(payloads)
    ((_, error),) = codec.decode([reading + sent(10, FIXED32)]).refused
    assert str(error).startswith(
        "field past is sent as fixed32 (a float?), SensorReading declares repeated double"
    )


def test_a_member_of_a_closed_enum_that_is_not_known_is_no_fault() -> None:
    """The parser of proto2 keeps it among the unknown fields, with the right wire type."""
    file = descriptor_pb2.FileDescriptorProto(name="closed.proto", syntax="proto2")
    file.enum_type.add(name="Colour").value.add(name="RED", number=1)
    message = file.message_type.add(name="Closed")
    for number, name, kind in (
        (1, "dataType", Field.TYPE_STRING),
        (2, "number", Field.TYPE_DOUBLE),
        (3, "colour", Field.TYPE_ENUM),
    ):
        field = message.field.add(name=name, number=number, type=kind, label=Field.LABEL_OPTIONAL)
        if kind == Field.TYPE_ENUM:
            field.type_name = ".Colour"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    codec = codec_of(message_factory.GetMessageClass(pool.FindMessageTypeByName("Closed")))
    payload = b"\x0a\x01a" + sent(2, FIXED64)
    assert codec.decode([payload + sent(3, VARINT)]).refused == []
    ((_, error),) = codec.decode([payload + sent(3, FIXED32)]).refused
    assert str(error).startswith("field colour is sent as fixed32 (a float?), Closed declares enum Colour")


def test_fields_that_are_not_declared_are_ignored_with_any_wire_type() -> None:
    codec = RecordCodec(WINE)
    payload = wine() + b"".join(sent(100, kind) for kind in VALUES) + b"\xab\x06\xac\x06"
    for payloads in ([payload], [payload] * 20):
        assert codec.decode(payloads).refused == []


OF_MODELS = [
    (field.name, kind)
    for field in ModelDescriptor.DESCRIPTOR.fields
    for kind in VALUES
    if kind != KINDS.get(field.type, BYTES if field.message_type else VARINT)
]


@pytest.mark.parametrize(("name", "kind"), OF_MODELS)
def test_a_field_of_a_model_message_is_never_ignored(name: str, kind: int) -> None:
    field = ModelDescriptor.DESCRIPTOR.fields_by_name[name]
    payload = ModelDescriptor(dataType="wine", data=b"x").SerializeToString() + sent(field.number, kind)
    for read in (ModelMessages().open, lambda message: read_model(parse_descriptor(message))):
        with pytest.raises(ModelRejected) as rejected:
            read(payload)
        assert str(rejected.value).startswith(
            f"field {field.name} is sent as {SPELLED[kind]}, ModelDescriptor declares "
        )


def test_a_field_of_an_example_is_never_ignored() -> None:
    examples = b"\x62\x04\x0a\x02ab" + b"\x62\x05\x15" + struct.pack("<f", 5.5)
    with pytest.raises(ModelRejected) as rejected:
        read_model(parse_descriptor(b"\x1a\x04wine\x2a\x01m" + examples))
    assert str(rejected.value) == (
        "field examples[1].expected is sent as fixed32 (a float?), Example declares double: "
        "send each field with its declared type"
    )
