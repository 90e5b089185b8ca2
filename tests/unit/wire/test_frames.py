"""Records and models in the frame of a schema registry."""

from __future__ import annotations

import struct

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st

from model_serving.core.admission.signing import check_signature, sign
from model_serving.core.errors import UnparsableMessage
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.winerecord_pb2 import WineRecord
from model_serving.wire import RecordCodec, parse_descriptor, read_model, unframed
from model_serving.wire.frames import MessageParser

CODEC = RecordCodec("model_serving.protos.winerecord_pb2:WineRecord")
FRAME = b"\0\0\0\0\x11\0"
"""Schema 17, message [0]."""

MODEL = ModelDescriptor(name="m", dataType="wine", modeltype="PMML", data=b"<PMML/>").SerializeToString()


def wine(place: int = 0) -> bytes:
    return WineRecord(pH=3.5 + place, dataType="wine", ts=1_700_000_000_000 + place).SerializeToString()


@pytest.mark.parametrize("frame", [FRAME, b"\0\xff\xff\xff\xff\x02\0"], ids=["short", "spelled out"])
@pytest.mark.parametrize("count", [1, 5, 400])
def test_framed_records_are_read_and_keep_their_bytes(frame: bytes, count: int) -> None:
    payloads = [frame + wine(place) for place in range(count)]
    decoded = CODEC.decode(payloads)
    (batch,) = decoded.batches
    assert decoded.refused == []
    assert (batch.data_type, list(batch.payloads)) == ("wine", payloads)
    assert batch.features.columns(("pH",)).ravel().tolist() == [3.5 + place for place in range(count)]
    assert batch.submission_ts.tolist() == [1_700_000_000_000 + place for place in range(count)]


def test_a_framed_record_that_waited_is_read_again() -> None:
    (batch,) = CODEC.decode([FRAME + wine()]).batches
    (again,) = CODEC.decode(batch.payloads).batches
    assert again.features.columns(("pH",)).tolist() == [[3.5]]


def test_framed_and_plain_records_of_one_length_may_be_mixed() -> None:
    plain = [wine(place) + b"\xaa\x06\x03abc" for place in range(50)]
    framed = [FRAME + wine(place) for place in range(50)]
    assert {len(payload) for payload in plain + framed} == {len(plain[0])}
    mixed = [payload for pair in zip(plain, framed, strict=True) for payload in pair]
    for _ in range(2):
        decoded = CODEC.decode(mixed)
        (batch,) = decoded.batches
        assert list(batch.payloads) == mixed
        assert batch.features.columns(("pH",)).ravel().tolist() == [3.5 + place // 2 for place in range(100)]


def test_an_example_may_be_framed() -> None:
    assert CODEC.example(FRAME + wine(), ("pH",)).tolist() == [[3.5]]


def test_a_framed_model_is_read() -> None:
    assert read_model(parse_descriptor(FRAME + MODEL)) == read_model(parse_descriptor(MODEL))


def test_a_signature_is_over_the_message_without_its_frame() -> None:
    key = b"k" * 32
    signed = sign(MODEL, key)
    check_signature(unframed(FRAME + signed), [key])
    assert unframed(signed) == signed
    assert read_model(parse_descriptor(FRAME + signed)) == read_model(parse_descriptor(MODEL))


ADVICE = "is the schema one of Avro or JSON? Send protobuf"
CUT = (
    "it begins with the byte 00, as in a schema registry's frame, and ends after {} bytes, within the frame: "
)
OTHERWISE = f"framed with schema 17, but not in the way of protobuf messages: {ADVICE}"
BROKEN = {
    b"\0": CUT.format(1) + ADVICE,
    b"\0\0\0\0": CUT.format(4) + ADVICE,
    b"\0\0\0\0\x11": "framed with schema 17, and nothing follows the frame",
    b'\0\0\0\0\x11{"pH": 3.5}': OTHERWISE,
    # Avro: a string "wine", then a double.
    b"\0\0\0\0\x11\x08wine" + struct.pack("<d", 3.5): OTHERWISE,
    b"\0\0\0\0\x11\x04\0": OTHERWISE,
    b"\0\0\0\0\x11" + b"\xff" * 400: OTHERWISE,
}


@pytest.mark.parametrize("payload", BROKEN)
def test_what_is_no_protobuf_in_a_frame_is_one_clear_line(payload: bytes) -> None:
    ((refused, error),) = CODEC.decode([payload]).refused
    assert refused == payload
    assert isinstance(error, UnparsableMessage)
    assert str(error) == f"not a WineRecord message: {BROKEN[payload]}"
    with pytest.raises(UnparsableMessage) as unparsable:
        parse_descriptor(payload)
    assert str(unparsable.value) == f"not a ModelDescriptor message: {BROKEN[payload]}"


def test_what_cannot_be_parsed_behind_a_frame_names_the_schema() -> None:
    with pytest.raises(UnparsableMessage) as unparsable:
        parse_descriptor(FRAME + b"\x08wine")
    told = str(unparsable.value)
    assert "message: framed with schema 17, and what follows is not protobuf of this type (" in told
    assert told.endswith(f"): {ADVICE}")


def test_a_frame_with_an_empty_message() -> None:
    ((_, error),) = CODEC.decode([FRAME]).refused
    assert str(error) == "the WineRecord has no dataType"


@pytest.mark.parametrize(
    ("indexes", "told"), [(b"\x02\x02", "[1]"), (b"\x04\x00\x02", "[0, 1]"), (b"\x04\x00\x00", "[0, 0]")]
)
def test_another_message_of_the_schema_is_refused(indexes: bytes, told: str) -> None:
    payload = FRAME[:-1] + indexes + wine()
    decoded = CODEC.decode([payload] * 20 + [FRAME + wine()])
    assert [len(batch) for batch in decoded.batches] == [1]
    assert {str(error) for _, error in decoded.refused} == {
        (
            f"not a WineRecord message: framed with schema 17 as message {told} of its file; this job reads "
            "message [0], WineRecord: send that one, or start the job with the record type that is sent"
        )
    }
    with pytest.raises(UnparsableMessage, match=r"this job reads message \[0\], ModelDescriptor"):
        unframed(payload)


def test_the_place_of_a_nested_message() -> None:
    file = descriptor_pb2.FileDescriptorProto(name="nested.proto", syntax="proto3")
    file.message_type.add(name="First")
    outer = file.message_type.add(name="Outer")
    for name in ("One", "Two", "Three"):
        outer.nested_type.add(name=name)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    for name, indexes in (("Outer", b"\x02\x02"), ("Outer.Three", b"\x04\x02\x04"), ("First", b"\0")):
        found = message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
        parser = MessageParser(found)
        framed = FRAME[:-1] + indexes + b"\xa8\x06\x05"
        assert parser.unframed(framed) == b"\xa8\x06\x05"
        with pytest.raises(UnparsableMessage):
            parser.unframed(FRAME[:-1] + b"\x04\x02\x02" + b"\xa8\x06\x05")


@given(st.binary(max_size=60))
def test_whatever_follows_the_byte_00_is_a_message_or_one_line(rest: bytes) -> None:
    decoded = CODEC.decode([b"\0" + rest])
    for _, error in decoded.refused:
        assert len(str(error).splitlines()) == 1
    assert len(decoded.refused) + sum(map(len, decoded.batches)) == 1
