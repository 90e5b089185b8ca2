"""Records: bytes in, valid records and columns out, and never anything but the two errors."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from google.protobuf.message import Message
from hypothesis import example, given
from hypothesis import strategies as st

from model_serving.core.batches import RecordBatch
from model_serving.core.engine import Columns, RecordSchema
from model_serving.core.errors import InvalidRecord, UnparsableMessage
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.winerecord_pb2 import WineRecord
from model_serving.wire import RecordCodec
from tests.protos.sensorreading_pb2 import SensorReading
from tests.unit.functions.made import Field, codec_of, made_message, made_module

WINE = RecordCodec("model_serving.protos.winerecord_pb2:WineRecord")
SENSOR = RecordCodec("tests.protos.sensorreading_pb2:SensorReading")

FIELDS = (
    "fixed_acidity",
    "volatile_acidity",
    "citric_acid",
    "residual_sugar",
    "chlorides",
    "free_sulfur_dioxide",
    "total_sulfur_dioxide",
    "density",
    "pH",
    "sulphates",
    "alcohol",
)
VALUES = (7.4, 0.7, 0.0, 1.9, 0.076, 11.0, 34.0, 0.9978, 3.51, 0.56, 9.4)
TS = 1_700_000_000_123

GOLDEN = (
    b"\x09" + struct.pack("<d", 7.4)  # field 1, wire type 1 (64 bits)
    + b"\x11" + struct.pack("<d", 0.7)  # 2
    # field 3, citric_acid, is 0, which proto3 does not write
    + b"\x21" + struct.pack("<d", 1.9)  # 4
    + b"\x29" + struct.pack("<d", 0.076)  # 5
    + b"\x31" + struct.pack("<d", 11.0)  # 6
    + b"\x39" + struct.pack("<d", 34.0)  # 7
    + b"\x41" + struct.pack("<d", 0.9978)  # 8
    + b"\x49" + struct.pack("<d", 3.51)  # 9
    + b"\x51" + struct.pack("<d", 0.56)  # 10
    + b"\x59" + struct.pack("<d", 9.4)  # 11
    + b"\x62\x04wine"  # field 12, wire type 2 (a length, then bytes)
    + b"\x68\xfb\xd0\x95\xff\xbc\x31"  # field 13, wire type 0: 1,700,000,000,123 as a varint
)  # fmt: skip
"""A record written from the field numbers, without the generated code."""


def read(codec: RecordCodec, payload: bytes) -> RecordBatch:
    """A record as a batch of one; raises the error if it is refused."""
    decoded = codec.decode([payload])
    for refused, error in decoded.refused:
        assert (refused, decoded.batches) == (payload, [])
        raise error
    (batch,) = decoded.batches
    assert (batch.payloads, len(batch)) == ([payload], 1)
    return batch


def columns_of(codec: RecordCodec, records: Sequence[Message], fields: tuple[str, ...]) -> Columns:
    """The columns of valid records of one data type."""
    (batch,) = codec.decode([record.SerializeToString() for record in records]).batches
    return batch.features.columns(fields)


def test_a_record_written_by_hand_is_read() -> None:
    record = read(WINE, GOLDEN)
    assert (record.data_type, record.submission_ts.tolist()) == ("wine", [TS])
    assert record.submission_ts.dtype == np.int64
    assert record.features.columns(FIELDS).tolist() == [list(VALUES)]


def test_the_generated_code_writes_the_same_bytes() -> None:
    record = WineRecord(**dict(zip(FIELDS, VALUES, strict=True)), dataType="wine", ts=TS)
    assert record.SerializeToString(deterministic=True) == GOLDEN


def test_fields_that_are_not_known_are_ignored() -> None:
    unknown = b"\xa2\x06\x03abc" + b"\xa8\x06\x05" + b"\xb1\x06" + bytes(8) + b"\xbd\x06" + bytes(4)
    record = read(WINE, unknown + GOLDEN + unknown)
    assert record.data_type == "wine"
    assert record.features.columns(FIELDS).tolist() == [list(VALUES)]


def test_the_schema_is_the_numbers_in_field_order() -> None:
    assert WINE.schema == RecordSchema("WineRecord", FIELDS, ())


def test_another_record_type_leaves_out_what_no_model_can_take() -> None:
    assert SENSOR.schema == RecordSchema("SensorReading", ("temperature", "window_open", "people"), ("room",))


def test_columns_come_in_the_order_asked_for_as_float64() -> None:
    records = [
        WineRecord(dataType="wine", pH=3.5, alcohol=9),
        WineRecord(dataType="wine", pH=3.2, alcohol=12.5, density=1),
    ]
    columns = columns_of(WINE, records, ("alcohol", "pH", "density"))
    assert columns.dtype == np.float64
    assert columns.tolist() == [[9, 3.5, 0], [12.5, 3.2, 1]]


@pytest.mark.parametrize("fields", [("pH",), (), FIELDS])
def test_columns_have_two_dimensions_whatever_the_number_of_fields(fields: tuple[str, ...]) -> None:
    columns = columns_of(WINE, [WineRecord(dataType="wine", pH=3.5)] * 2, fields)
    assert columns.dtype == np.float64
    assert columns.shape == (2, len(fields))


def test_columns_with_a_text_among_them_are_objects() -> None:
    readings = [
        SensorReading(dataType="hall", room="north", temperature=20.5, people=-3, window_open=True),
        SensorReading(dataType="hall", people=1),
    ]
    columns = columns_of(SENSOR, readings, ("people", "room", "window_open", "temperature"))
    assert columns.dtype == object
    assert columns.tolist() == [[-3, "north", True, 20.5], [1, "", False, 0.0]]
    assert [type(value) for value in columns[0]] == [float, str, float, float]
    numbers = columns_of(SENSOR, readings, ("window_open", "people"))
    assert numbers.dtype == np.float64
    assert numbers.tolist() == [[1, -3], [0, 1]]


def test_records_are_sorted_by_data_type_in_their_order_and_what_is_no_record_is_told() -> None:
    hall, lab = (
        [SensorReading(dataType=name, ts=ts, people=ts, room=name * ts).SerializeToString() for ts in (1, 2)]
        for name in ("hall", "lab")
    )
    decoded = SENSOR.decode([b"\xff", lab[0], hall[0], b"", hall[1], lab[1]])
    read = [
        (batch.data_type, batch.payloads, batch.submission_ts.tolist(), batch.features)
        for batch in decoded.batches
    ]
    assert [(*rest, features.columns(("room", "people")).tolist()) for *rest, features in read] == [
        ("lab", lab, [1, 2], [["lab", 1], ["lablab", 2]]),
        ("hall", hall, [1, 2], [["hall", 1], ["hallhall", 2]]),
    ]
    assert [(payload, type(error)) for payload, error in decoded.refused] == [
        (b"\xff", UnparsableMessage),
        (b"", InvalidRecord),
    ]


def test_some_records_of_a_batch() -> None:
    records = [SensorReading(dataType="hall", ts=ts, people=ts, room="r" * ts) for ts in (1, 2, 3, 4)]
    payloads = [record.SerializeToString() for record in records]
    (batch,) = SENSOR.decode(payloads).batches
    some = batch.rows(np.array([3, 0]))
    assert (some.data_type, some.payloads) == ("hall", [payloads[3], payloads[0]])
    assert some.submission_ts.tolist() == [4, 1]
    assert some.features.columns(("room", "people")).tolist() == [["rrrr", 4], ["r", 1]]
    assert some.features.columns(("people",)).tolist() == [[4], [1]]


def test_nothing_is_no_batch() -> None:
    decoded = WINE.decode([])
    assert (decoded.batches, decoded.refused) == ([], [])


def test_an_example_is_one_row() -> None:
    assert WINE.example(GOLDEN, ("alcohol", "citric_acid")).tolist() == [[9.4, 0.0]]


PARSERS = pytest.mark.parametrize(
    "parse", [lambda payload: read(WINE, payload), lambda payload: WINE.example(payload, ("pH",))]
)


@PARSERS
@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b"", "the WineRecord has no dataType"),
        (b"\x09" + struct.pack("<d", 7.4), "the WineRecord has no dataType"),
        (b"\x62\x04wine", "the WineRecord has none of its fields set"),
        (b"\x62\x04wine\x68\x05", "the WineRecord has none of its fields set"),
        (b"\x09" + bytes(8) + b"\x62\x04wine", "the WineRecord has none of its fields set"),
        (
            ModelDescriptor(name="m", dataType="wine", data=b"model").SerializeToString(),
            (
                "field fixed_acidity is sent as length-delimited bytes (a string?), WineRecord declares "
                "double (and 2 more are sent with another type): send each field with its declared type"
            ),
        ),
    ],
)
def test_a_message_that_is_no_record_is_invalid(
    parse: Callable[[bytes], object], payload: bytes, said: str
) -> None:
    with pytest.raises(InvalidRecord) as invalid:
        parse(payload)
    assert str(invalid.value) == said


@PARSERS
@pytest.mark.parametrize(
    "payload",
    [
        GOLDEN[:-1],
        GOLDEN[:5],
        b"\x62\x04win",
        b"\x62\x01\xff",
        b"\x09",
        b"\x0f",
        b"\x00\x00",
        b"not a record",
    ],
)
def test_bytes_that_are_no_message_are_unparsable(parse: Callable[[bytes], object], payload: bytes) -> None:
    with pytest.raises(UnparsableMessage, match=r"^not a WineRecord message: [^\n]+$"):
        parse(payload)


def changed(golden: bytes) -> st.SearchStrategy[bytes]:
    """A good message with a piece cut out and another put in its place."""

    def build(start: int, length: int, put: bytes) -> bytes:
        return golden[:start] + put + golden[start + length :]

    return st.builds(build, st.integers(0, len(golden)), st.integers(0, 12), st.binary(max_size=6))


@given(st.binary(max_size=200) | changed(GOLDEN))
@example(GOLDEN)
def test_whatever_comes_is_a_record_or_one_of_the_two_errors(payload: bytes) -> None:
    for codec in (WINE, SENSOR):
        outcome: RecordBatch | str
        try:
            outcome = read(codec, payload)
        except (UnparsableMessage, InvalidRecord) as error:
            outcome = str(error)
        if isinstance(outcome, str):
            assert len(outcome.splitlines()) == 1
            continue
        names = (*codec.schema.numeric, *codec.schema.text)
        columns = outcome.features.columns(names)
        assert outcome.data_type
        assert columns.shape == (1, len(names))
        assert any(columns[0])


Declare = Callable[..., str]


@pytest.fixture
def declare(monkeypatch: pytest.MonkeyPatch) -> Declare:
    """``declare(name=(number, type), ...)`` makes a message type, and returns its record type."""

    def make(**fields: tuple[int, ...]) -> str:
        monkeypatch.setitem(sys.modules, "made_pb2", made_module(made_message(fields)))
        return "made_pb2:Made"

    return make


def test_a_record_type_without_a_timestamp_was_sent_at_0(declare: Declare) -> None:
    codec = RecordCodec(declare(dataType=(1, Field.TYPE_STRING), x=(2, Field.TYPE_SINT64)))
    record = read(codec, b"\x0a\x01a\x10\x05")
    assert (record.submission_ts.tolist(), record.features.columns(("x",)).tolist()) == ([0], [[-3]])


@pytest.mark.parametrize(
    ("kind", "numeric", "text"),
    [
        (Field.TYPE_DOUBLE, ("ts", "x"), ()),
        (Field.TYPE_STRING, ("x",), ("ts",)),
        (Field.TYPE_BYTES, ("x",), ()),
    ],
)
def test_a_ts_that_is_no_integer_is_no_timestamp(
    declare: Declare, kind: int, numeric: tuple[str, ...], text: tuple[str, ...]
) -> None:
    record_type = declare(dataType=(1, Field.TYPE_STRING), ts=(2, kind), x=(3, Field.TYPE_INT32))
    codec = RecordCodec(record_type)
    assert codec.schema == RecordSchema("Made", numeric, text)
    assert read(codec, b"\x0a\x01a\x18\x05").submission_ts.tolist() == [0]


def test_an_unsigned_timestamp_beyond_64_bits_with_a_sign_wraps(declare: Declare) -> None:
    record_type = declare(
        dataType=(1, Field.TYPE_STRING), ts=(2, Field.TYPE_FIXED64), x=(3, Field.TYPE_INT32)
    )
    codec = RecordCodec(record_type)
    payloads = [
        b"\x0a\x01a\x11" + (2**64 - place).to_bytes(8, "little") + b"\x18\x05" for place in range(1, 60)
    ]
    assert read(codec, payloads[2]).submission_ts.tolist() == [-3]
    (batch,) = codec.decode(payloads).batches
    assert batch.submission_ts.tolist() == [-place for place in range(1, 60)]


def test_a_text_that_is_not_utf_8_is_refused_where_the_parser_takes_it() -> None:
    fields = {"dataType": (1, Field.TYPE_STRING), "note": (2, Field.TYPE_STRING)}
    codec = codec_of(made_message(fields, syntax="proto2"))
    for payload in (b"\x0a\x01\xff\x12\x01n", b"\x0a\x01a\x12\x01\xff"):
        with pytest.raises(UnparsableMessage, match=r"^not a Made message: a text in it is not UTF-8$"):
            read(codec, payload)
    assert read(codec, b"\x0a\x01a\x12\x02\xc3\xa9").features.columns(("note",)).tolist() == [["é"]]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"x": (2, Field.TYPE_INT32)}, "has no string field 'dataType' to route by"),
        ({"dataType": (1, Field.TYPE_BYTES)}, "has no string field 'dataType' to route by"),
        ({"dataType": (1, Field.TYPE_INT32)}, "has no string field 'dataType' to route by"),
        (
            {"dataType": (1, Field.TYPE_STRING, Field.LABEL_REPEATED), "x": (2, Field.TYPE_INT32)},
            "has no string field 'dataType' to route by",
        ),
        (
            {"dataType": (1, Field.TYPE_STRING), "ts": (2, Field.TYPE_INT64)},
            "has no number and no string field that a model could take",
        ),
        (
            {
                "dataType": (1, Field.TYPE_STRING),
                "raw": (2, Field.TYPE_BYTES),
                "past": (3, Field.TYPE_DOUBLE, Field.LABEL_REPEATED),
            },
            "has no number and no string field that a model could take",
        ),
    ],
)
def test_a_message_that_cannot_be_a_record_type(
    declare: Declare, fields: dict[str, tuple[int, int]], said: str
) -> None:
    with pytest.raises(ValueError, match=r"^the message made_pb2:Made ") as wrong:
        RecordCodec(declare(**fields))
    assert str(wrong.value) == f"the message made_pb2:Made {said}"


@pytest.mark.parametrize(
    ("record_type", "said"),
    [
        ("", "'' is not of the form module:Message, such as my_messages.sensor_pb2:Sensor"),
        (
            "WineRecord",
            "'WineRecord' is not of the form module:Message, such as my_messages.sensor_pb2:Sensor",
        ),
        (
            "a:",
            "'a:' is not of the form module:Message, such as my_messages.sensor_pb2:Sensor",
        ),
        (
            "no_such_pb2:WineRecord",
            (
                "the module no_such_pb2 cannot be imported (No module named 'no_such_pb2'): "
                "install it, or put it on PYTHONPATH"
            ),
        ),
        (
            "model_serving.protos.winerecord_pb2:Wine",
            "the module model_serving.protos.winerecord_pb2 has no protobuf message Wine",
        ),
        (
            "model_serving.protos.winerecord_pb2:DESCRIPTOR",
            "the module model_serving.protos.winerecord_pb2 has no protobuf message DESCRIPTOR",
        ),
        ("os:path", "the module os has no protobuf message path"),
    ],
)
def test_a_record_type_that_is_not_there(record_type: str, said: str) -> None:
    with pytest.raises(ValueError, match=r".") as wrong:
        RecordCodec(record_type)
    assert str(wrong.value) == said


def test_a_module_that_fails_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "too_new_pb2.py").write_text("raise RuntimeError('gencode 99\\nruntime 5')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match="too_new_pb2") as wrong:
        RecordCodec("too_new_pb2:Record")
    assert str(wrong.value) == (
        "the module too_new_pb2 cannot be imported (gencode 99 runtime 5): "
        "install it, or put it on PYTHONPATH"
    )
