"""Where records came from stays with them."""

from __future__ import annotations

import numpy as np

from model_serving.wire import RecordCodec
from tests.protos.sensorreading_pb2 import SensorReading

SENSOR = RecordCodec("tests.protos.sensorreading_pb2:SensorReading")


def test_records_keep_their_origins_through_decoding_and_packing() -> None:
    data_types = ["hall", "lab", "hall", "", "lab"]
    payloads = [SensorReading(dataType=one, temperature=20.0).SerializeToString() for one in data_types]
    batches = SENSOR.decode(payloads, np.arange(5) + 100).batches
    for found in (batches, SENSOR.unpack(SENSOR.pack(batches))):
        origins = [None if one.origins is None else one.origins.tolist() for one in found]
        assert origins == [[100, 102], [101, 104]]
    assert [one.origins for one in SENSOR.unpack(SENSOR.pack(SENSOR.decode(payloads).batches))] == [
        None,
        None,
    ]


def test_one_data_type_keeps_its_origins_too() -> None:
    payloads = [SensorReading(dataType="hall", temperature=float(at)).SerializeToString() for at in (1, 2, 3)]
    (batch,) = SENSOR.decode(payloads, np.arange(3)).batches
    assert batch.origins is not None
    kept = batch.rows(np.array([0, 2])).origins
    assert kept is not None
    assert kept.tolist() == [0, 2]
