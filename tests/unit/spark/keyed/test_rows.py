"""The rows between routing and serving: their order, their size, and what comes out as it went in."""

from __future__ import annotations

import pytest

from model_serving.core.batches import RecordBatch
from model_serving.spark.keyed import rows
from model_serving.spark.keyed.rows import (
    Kind,
    RoutedRow,
    arrow_rows,
    in_order,
    pack_messages,
    pack_vector,
    split,
    unpack_messages,
    unpack_vector,
)
from model_serving.spark.outputs import origins_of
from model_serving.wire import RecordCodec
from tests.protos.sensorreading_pb2 import SensorReading

_CODEC = RecordCodec("tests.protos.sensorreading_pb2:SensorReading")


def readings(count: int) -> RecordBatch:
    payloads = [
        SensorReading(dataType="hall", ts=at, temperature=at + 1, room=f"room {at} ü").SerializeToString()
        for at in range(count)
    ]
    return _CODEC.decode(payloads, origins_of([3] * count, range(70, 70 + count))).batches[0]


def test_models_come_before_records_and_each_kind_in_the_order_of_its_topic() -> None:
    made = [
        RoutedRow("hall", Kind.RECORDS, 9, b"later"),
        RoutedRow("hall", Kind.RECORDS, 2, b"records"),
        RoutedRow("hall", Kind.MODEL, 7, b"second"),
        RoutedRow("hall", Kind.MODEL, 5, b"first"),
    ]
    assert [row.body for row in in_order(made)] == [b"first", b"second", b"records", b"later"]


@pytest.mark.parametrize("messages", [[], [b""], [b"one", b"", b"\0three" * 1000]])
def test_messages_come_out_as_they_went_in(messages: list[bytes]) -> None:
    assert unpack_messages(pack_messages(messages)) == messages


def test_a_vector_comes_out_as_it_went_in() -> None:
    batch = readings(20)
    (again,) = _CODEC.unpack(unpack_vector(pack_vector(_CODEC.pack([batch]))))
    assert (again.data_type, list(again.payloads)) == (batch.data_type, list(batch.payloads))
    assert again.submission_ts.tolist() == batch.submission_ts.tolist()
    assert again.origins is not None
    assert batch.origins is not None
    assert again.origins.tolist() == batch.origins.tolist()
    fields = ("temperature", "room", "people")
    assert again.features.columns(fields).tolist() == batch.features.columns(fields).tolist()


def test_a_batch_is_split_by_records_and_by_bytes_and_keeps_its_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batch = readings(10)
    assert split(batch) == [batch]
    monkeypatch.setattr(rows, "_MOST_RECORDS", 4)
    assert [len(part) for part in split(batch)] == [4, 4, 2]
    largest = max(map(len, batch.payloads))
    monkeypatch.setattr(rows, "_MOST_BYTES", 3 * largest)
    parts = split(batch)
    assert [payload for part in parts for payload in part.payloads] == batch.payloads
    assert all(sum(map(len, part.payloads)) <= 3 * largest for part in parts)
    assert len(parts) <= 4
    monkeypatch.setattr(rows, "_MOST_BYTES", 1)
    assert [len(part) for part in split(batch)] == [1] * 10


def test_rows_have_the_columns_that_spark_is_told() -> None:
    made = arrow_rows([RoutedRow("hall", Kind.MODEL, 7, b"\0\xff")])
    assert made.to_pylist() == [{"data_type": "hall", "kind": 0, "place": 7, "body": b"\0\xff"}]
    spark = {"string": "string", "int": "int32", "bigint": "int64", "binary": "binary"}
    told = [column.split() for column in rows.ROUTED_SCHEMA.split(", ")]
    assert [[column.name, str(column.type)] for column in made.schema] == [
        [name, spark[kind]] for name, kind in told
    ]
