"""Which instance has which data type, and the rows for each; tests/minicluster compares with Flink itself."""

from __future__ import annotations

import pytest

from functions import placement
from functions.placement import Placement, key_group
from model_serving.wire import RecordCodec
from tests.unit.functions.emitted import reading
from tests.unit.functions.fake_flink import FakeFlink

CODEC = RecordCodec("tests.protos.sensorreading_pb2:SensorReading")


def test_the_key_group_of_a_data_type_is_flinks() -> None:
    # As Flink 2.1 gave them to rows of one text.
    known = {"": 33, "a": 64, "b": 65, "wine": 35, "\u00e9": 106, "\U0001f600x": 17}
    assert {data_type: key_group(data_type, 128) for data_type in known} == known


@pytest.mark.parametrize(
    ("parallelism", "expected"),
    [
        (1, [["hall", "lab", "odd", "wine"]]),
        (4, [["hall", "lab"], ["odd"], ["wine"]]),
        (128, [["hall"], ["lab"], ["odd"], ["wine"]]),
    ],
)
def test_batches_go_together_by_instance(parallelism: int, expected: list[list[str]]) -> None:
    placed = Placement(FakeFlink(parallelism=parallelism))
    records = [reading(1, data_type) for data_type in ("hall", "lab", "odd", "wine")]
    together = placed.together(CODEC.decode(records).batches)
    assert [[batch.data_type for batch in batches] for batches in together] == expected
    assert list(placed.together([])) == []


def test_memory_for_data_types_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "_REMEMBERED", 2)
    placed = Placement(FakeFlink(parallelism=4))
    for _ in range(2):
        assert [placed.instance(data_type) for data_type in ("hall", "wine", "odd", "hall")] == [0, 1, 3, 0]
    assert len(placed._known) <= 2
