"""Records: bytes in, valid records and columns out, and never anything but the two errors."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import example, given
from hypothesis import strategies as st

from functions.core.engine import RecordSchema
from functions.core.errors import InvalidRecord, UnparsableMessage
from functions.core.messages import DataToServe
from functions.wire import RecordCodec
from protos.modeldescriptor_pb2 import ModelDescriptor
from protos.winerecord_pb2 import WineRecord
from tests.protos.sensorreading_pb2 import SensorReading

WINE = RecordCodec("protos.winerecord_pb2:WineRecord")
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


def test_a_record_written_by_hand_is_read() -> None:
    record = WINE.parse(GOLDEN)
    assert (record.data_type, record.submission_ts, record.payload) == ("wine", TS, GOLDEN)
    assert tuple(getattr(record.message, name) for name in FIELDS) == VALUES


def test_the_generated_code_writes_the_same_bytes() -> None:
    record = WineRecord(**dict(zip(FIELDS, VALUES, strict=True)), dataType="wine", ts=TS)
    assert record.SerializeToString(deterministic=True) == GOLDEN


def test_fields_that_are_not_known_are_ignored() -> None:
    unknown = b"\xa2\x06\x03abc" + b"\xa8\x06\x05" + b"\xb1\x06" + bytes(8) + b"\xbd\x06" + bytes(4)
    record = WINE.parse(unknown + GOLDEN + unknown)
    assert (record.data_type, record.payload) == ("wine", unknown + GOLDEN + unknown)
    assert WINE.columns([record.message], FIELDS).tolist() == [list(VALUES)]


def test_the_schema_is_the_numbers_in_field_order() -> None:
    assert WINE.schema == RecordSchema("WineRecord", FIELDS, ())


def test_another_record_type_leaves_out_what_no_model_can_take() -> None:
    assert SENSOR.schema == RecordSchema("SensorReading", ("temperature", "window_open", "people"), ("room",))


def test_columns_come_in_the_order_asked_for_as_float64() -> None:
    records = [WineRecord(pH=3.5, alcohol=9), WineRecord(pH=3.2, alcohol=12.5, density=1)]
    columns = WINE.columns(records, ("alcohol", "pH", "density"))
    assert columns.dtype == np.float64
    assert columns.tolist() == [[9, 3.5, 0], [12.5, 3.2, 1]]


@pytest.mark.parametrize("fields", [("pH",), ()])
def test_columns_have_two_dimensions_whatever_the_number_of_fields(fields: tuple[str, ...]) -> None:
    assert WINE.columns([WineRecord(pH=3.5)] * 2, fields).shape == (2, len(fields))


def test_columns_with_a_text_among_them_are_objects() -> None:
    readings = [
        SensorReading(room="hall", temperature=20.5, people=-3, window_open=True),
        SensorReading(room="", temperature=0),
    ]
    columns = SENSOR.columns(readings, ("people", "room", "window_open", "temperature"))
    assert columns.dtype == object
    assert columns.tolist() == [[-3, "hall", True, 20.5], [0, "", False, 0.0]]
    numbers = SENSOR.columns(readings, ("window_open", "people"))
    assert numbers.dtype == np.float64
    assert numbers.tolist() == [[1, -3], [0, 0]]


def test_an_example_is_one_row() -> None:
    assert WINE.example(GOLDEN, ("alcohol", "citric_acid")).tolist() == [[9.4, 0.0]]


PARSERS = pytest.mark.parametrize("parse", [WINE.parse, lambda payload: WINE.example(payload, ("pH",))])


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
            "the WineRecord has no dataType",
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
        outcome: DataToServe | str
        try:
            outcome = codec.parse(payload)
        except (UnparsableMessage, InvalidRecord) as error:
            outcome = str(error)
        if isinstance(outcome, str):
            assert len(outcome.splitlines()) == 1
            continue
        names = (*codec.schema.numeric, *codec.schema.text)
        assert outcome.payload == payload
        assert outcome.data_type
        assert any(getattr(outcome.message, name) for name in names)
        assert codec.columns([outcome.message], names).shape == (1, len(names))


Field = descriptor_pb2.FieldDescriptorProto
Declare = Callable[..., str]


@pytest.fixture
def declare(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Declare:
    """``declare(name=(number, type), ...)``: the record type of a message that is made on the spot."""

    def make(**fields: tuple[int, int] | tuple[int, int, int]) -> str:
        file = descriptor_pb2.FileDescriptorProto(name=f"{request.node.name}.proto", syntax="proto3")
        message = file.message_type.add(name="Made")
        for name, (number, kind, *label) in fields.items():
            message.field.add(
                name=name, number=number, type=kind, label=label[0] if label else Field.LABEL_OPTIONAL
            )  # type: ignore[arg-type]
        pool = descriptor_pool.DescriptorPool()
        pool.Add(file)  # type: ignore[no-untyped-call]
        module = ModuleType("made_pb2")
        module.Made = message_factory.GetMessageClass(pool.FindMessageTypeByName("Made"))  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "made_pb2", module)
        return "made_pb2:Made"

    return make


def test_a_record_type_without_a_timestamp_was_sent_at_0(declare: Declare) -> None:
    codec = RecordCodec(declare(dataType=(1, Field.TYPE_STRING), x=(2, Field.TYPE_SINT64)))
    record = codec.parse(b"\x0a\x01a\x10\x05")
    assert (record.submission_ts, record.message.x) == (0, -3)


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
    assert codec.parse(b"\x0a\x01a\x18\x05").submission_ts == 0


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
        ("", "'' is not of the form module:Message, such as protos.winerecord_pb2:WineRecord"),
        (
            "WineRecord",
            "'WineRecord' is not of the form module:Message, such as protos.winerecord_pb2:WineRecord",
        ),
        ("a:", "'a:' is not of the form module:Message, such as protos.winerecord_pb2:WineRecord"),
        (
            "no_such_pb2:WineRecord",
            (
                "the module no_such_pb2 cannot be imported (No module named 'no_such_pb2'): "
                "install it, or put it on PYTHONPATH"
            ),
        ),
        ("protos.winerecord_pb2:Wine", "the module protos.winerecord_pb2 has no protobuf message Wine"),
        (
            "protos.winerecord_pb2:DESCRIPTOR",
            "the module protos.winerecord_pb2 has no protobuf message DESCRIPTOR",
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
