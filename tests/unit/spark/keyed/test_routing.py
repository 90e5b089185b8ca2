"""Routing: messages of both topics become rows by data type, and what is not one becomes a dead letter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from model_serving.core.admission.signing import sign
from model_serving.messaging.topics import TopicNames
from model_serving.protos.deadletter_pb2 import DeadLetter
from model_serving.settings import ServingSettings
from model_serving.spark import worker
from model_serving.spark.keyed.packets import Packets
from model_serving.spark.keyed.routing import RouteModels, RouteRecords
from model_serving.spark.keyed.rows import NOBODY, Kind, unpack_vector
from model_serving.testing import FakeEngine
from tests.unit.spark.keyed.processes import deploy, kafka, reading, routed


def test_records_become_vectors_by_data_type_with_their_places(
    settings: ServingSettings, engine: FakeEngine
) -> None:
    records = [reading(20), reading(5, "lab"), reading(21)]
    rows = routed(settings, records=records, offset=40)
    assert {data_type: [row.place for row in of] for data_type, of in rows.items()} == {
        "hall": [40],
        "lab": [41],
    }
    ((hall,), (lab,)) = rows["hall"], rows["lab"]
    codec = worker.parts(settings).codec
    for row, payloads, origins in ((hall, records[::2], [40, 42]), (lab, records[1:2], [41])):
        assert row.kind is Kind.RECORDS
        (batch,) = codec.unpack(unpack_vector(row.body))
        assert (batch.data_type, list(batch.payloads)) == (row.data_type, payloads)
        assert batch.origins is not None
        assert batch.origins.tolist() == origins


def test_what_is_not_a_record_becomes_a_dead_letter(settings: ServingSettings, engine: FakeEngine) -> None:
    garbage: list[bytes | None] = [b"\xff garbage", None, reading(20)]
    rows = routed(settings, records=garbage)
    packets = Packets(TopicNames())
    packets.add_rows(rows[NOBODY])
    (packet,) = packets.take()
    assert packet.topic == "dead-letters"
    assert [DeadLetter.FromString(letter).payload for letter in packet.messages] == [b"\xff garbage", b""]
    assert [row.kind for row in rows["hall"]] == [Kind.RECORDS]


def test_each_model_message_is_a_row_of_its_own(settings: ServingSettings, engine: FakeEngine) -> None:
    models = [deploy("v1"), deploy("v2"), deploy("v1", "lab")]
    rows = routed(settings, models=models, offset=3)
    assert [(row.kind, row.place, row.body) for row in rows["hall"]] == [
        (Kind.MODEL, 3, models[0]),
        (Kind.MODEL, 4, models[1]),
    ]
    assert [row.body for row in rows["lab"]] == [models[2]]


def test_a_model_message_that_cannot_be_routed_has_a_dead_letter_and_a_status(
    settings: ServingSettings, engine: FakeEngine
) -> None:
    rows = routed(settings, models=[b"\xff garbage", deploy("v1", data_type="")])
    packets = Packets(TopicNames())
    packets.add_rows(rows[NOBODY])
    assert {packet.topic: len(packet.messages) for packet in packets.take()} == {
        "dead-letters": 2,
        "model-status": 2,
    }


def test_an_unsigned_model_message_is_not_routed_where_signatures_are_wanted(
    settings: ServingSettings, engine: FakeEngine, tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    keys.write_text("0123456789abcdef0123456789abcdef")
    settings = replace(settings, model_key_file=str(keys))
    (key,) = settings.model_keys()
    signed = sign(deploy("v1"), key)
    rows = routed(settings, models=[deploy("v1"), signed])
    assert [row.body for row in rows["hall"]] == [signed]
    assert [row.kind for row in rows[NOBODY]] == [Kind.DEAD_LETTERS, Kind.STATUSES]


@pytest.mark.parametrize("route", [RouteRecords, RouteModels])
def test_each_partition_that_is_read_has_news_for_every_task(
    settings: ServingSettings, route: type[RouteRecords | RouteModels]
) -> None:
    (news,) = route(settings, news=("3", "8")).rows([])
    assert [(row["data_type"], row["kind"]) for row in news.to_pylist()] == [("3", 4), ("8", 4)]
    assert list(route(settings).rows([kafka([])])) == []
