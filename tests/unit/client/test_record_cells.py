"""The value of a cell for each type of field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message

from model_serving.client.errors import ClientError
from model_serving.client.record_cells import cell_value
from model_serving.client.record_files import RecordType, read_record_file

Field = descriptor_pb2.FieldDescriptorProto
TYPES = {
    "d": Field.TYPE_DOUBLE,
    "f": Field.TYPE_FLOAT,
    "i32": Field.TYPE_INT32,
    "u32": Field.TYPE_UINT32,
    "i64": Field.TYPE_SINT64,
    "u64": Field.TYPE_FIXED64,
    "b": Field.TYPE_BOOL,
    "s": Field.TYPE_STRING,
}


def make_message() -> type[Message]:
    """Returns a message with each type twice, once optional (``od``, ``of``, …), a dataType and a ts."""
    file = descriptor_pb2.FileDescriptorProto(name="cells.proto", syntax="proto3")
    message = file.message_type.add(name="Cells")
    for number, (name, kind) in enumerate(TYPES.items(), start=1):
        message.field.add(name=name, number=number, type=kind, label=Field.LABEL_OPTIONAL)
        message.field.add(
            name=f"o{name}",
            number=number + 20,
            type=kind,
            label=Field.LABEL_OPTIONAL,
            proto3_optional=True,
            oneof_index=number - 1,
        )
        message.oneof_decl.add(name=f"_o{name}")
    message.field.add(name="dataType", number=50, type=Field.TYPE_STRING, label=Field.LABEL_OPTIONAL)
    message.field.add(name="ts", number=51, type=Field.TYPE_SFIXED64, label=Field.LABEL_OPTIONAL)
    pool = DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("Cells"))


CELLS: Any = make_message()
FIELDS = CELLS.DESCRIPTOR.fields_by_name
RECORD = RecordType(
    CELLS,
    tuple(field for field in CELLS.DESCRIPTOR.fields if field.name not in {"dataType", "ts"}),
    FIELDS["dataType"],
    FIELDS["ts"],
)


@pytest.mark.parametrize(
    ("field", "cell", "value"),
    [
        ("d", "5", 5.0),
        ("d", " -1.5e3 ", -1500.0),
        ("d", ".5", 0.5),
        ("d", "1e300", 1e300),
        ("f", "3.4e38", 3.4e38),
        ("f", "1e-300", 1e-300),
        ("i32", "5.0", 5),
        ("i32", "-2147483648", -(2**31)),
        ("i32", "1e3", 1000),
        ("u32", "4294967295", 2**32 - 1),
        ("i64", "9223372036854775807", 2**63 - 1),
        ("i64", "9223372036854775807.0", 2**63 - 1),
        ("u64", "18446744073709551615", 2**64 - 1),
        ("b", "true", True),
        ("b", "False", False),
        ("b", "1", True),
        ("b", "0.0", False),
        ("s", " text ", "text"),
        ("s", "", ""),
        ("od", "", None),
        ("oi32", " ", None),
        ("ob", "", None),
        ("os", "", None),
        ("od", "0", 0.0),
    ],
)
def test_a_cell_becomes_the_value_of_its_field(field: str, cell: str, value: object) -> None:
    found = cell_value(FIELDS[field], cell)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("field", "cell", "why"),
    [
        ("d", "", "'' is not a number for 'd'"),
        ("d", "1e400", "'1e400' is too large for 'd'"),
        ("d", "nan", "'nan' is not a number for 'd'"),
        ("od", "inf", "'inf' is not a number for 'od'"),
        ("d", "1_000", "'1_000' is not a number for 'd'"),
        ("d", "0,5", "'0,5' is not a number for 'd'"),
        ("f", "1e300", "'1e300' is too large for 'f', a number of 32 bits (up to 3.4e38)"),
        ("i32", "5.5", "'5.5' is not a whole number for 'i32'"),
        ("i32", "1e-400", "'1e-400' is not a whole number for 'i32'"),
        (
            "i32",
            "2147483648",
            "'2147483648' is out of range for 'i32', which holds -2147483648 to 2147483647",
        ),
        ("u32", "-1", "'-1' is out of range for 'u32', which holds 0 to 4294967295"),
        ("i64", "1e999999999999", "'1e999999999999' is out of range for 'i64'"),
        ("i64", "9" * 1000, f"'{'9' * 40}…' is out of range"),
        ("b", "yes", "'yes' is neither true nor false, which 'b' takes"),
        ("b", "2", "'2' is neither true nor false"),
        ("b", "", "'' is neither true nor false"),
    ],
)
def test_a_cell_without_a_value_for_its_field_is_refused(field: str, cell: str, why: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011
        cell_value(FIELDS[field], cell)
    assert str(refused.value).startswith(why)


def test_what_is_unset_stays_unset_and_what_is_set_is_sent(tmp_path: Path) -> None:
    file = tmp_path / "cells.csv"
    file.write_text("d,f,i32,u32,i64,u64,b,s,od,oi32,ob\n1,2,5.0,3,4,5,true,x,,7.0,\n", encoding="utf-8")
    (record,) = read_record_file(file, RECORD, "wine").records
    assert CELLS.FromString(record.payload) == CELLS(
        d=1, f=2, i32=5, u32=3, i64=4, u64=5, b=True, s="x", oi32=7, dataType="wine"
    )
    # The stamp is written as the field's own type is.
    assert CELLS.FromString(record.payload + RECORD.stamp(17)).ts == 17


def test_a_value_that_is_too_large_is_refused_with_its_line_and_column(tmp_path: Path) -> None:
    file = tmp_path / "cells.csv"
    file.write_text("d,f,i32,u32,i64,u64,b,s\n1,2,3,4,5,6,1,x\n1,1e300,3,4,5,6,1,x\n", encoding="utf-8")
    with pytest.raises(ClientError, match=r"line 3, column 2: '1e300' is too large for 'f'"):
        read_record_file(file, RECORD, "wine")
