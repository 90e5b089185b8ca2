"""Both jobs give the right results for every type of model, and for every way to send it."""

from __future__ import annotations

import hashlib
import json
import time

import numpy as np
import pytest

from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.modelstatus_pb2 import ModelStatus
from tests.job_models import (
    SAMPLES,
    Sample,
    constant_pmml,
    needs_seed_data,
    sample_records,
    seed_data,
    wine,
)
from tests.job_traffic import Traffic

pytestmark = pytest.mark.kafka

SEED_MODELS = (
    ("winequalityDecisionTreeClassification.pmml", "PMML", 0.0),
    ("winequalityRandonForrestClassification.pmml", "PMML", 0.0),
    ("winequalityGeneralizedLinearRegressionGaussian.pmml", "PMML", 1e-6),
    ("optimized_WineQuality.pb", "TENSORFLOW", 0.0),
    ("saved/1", "TENSORFLOWSAVED", 0.0),
)


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=list(SAMPLES))
def test_a_sample_model_gives_its_expected_results(job: Traffic, sample: Sample) -> None:
    data_type = f"sample {sample.key}"
    status = job.serve(sample.message(data_type))
    before = time.time_ns() // 1_000_000
    job.send(*sample_records(data_type, len(sample.expected), first_ts=before))
    results = job.await_results(data_type, len(sample.expected))
    after = time.time_ns() // 1_000_000

    assert [result.result for result in results] == pytest.approx(
        sample.expected, abs=sample.tolerance, rel=0
    )
    assert [result.submissionTs for result in results] == [before + index for index in range(len(results))]
    for result in results:
        assert (result.name, result.version, ModelDescriptor.ModelType.Name(result.modeltype)) == (
            sample.key,
            status.version,
            sample.kind,
        )
        assert before <= result.served_ts <= after
        assert result.latency_ms == result.served_ts - result.submissionTs
        assert 0 < result.scoring_ns < (after - before) * 1_000_000
    classifies = "classif" in sample.path.read_text() if sample.kind == "PMML" else False
    assert [bool(result.label) for result in results] == [classifies] * len(results)


def test_a_model_is_active_with_its_digest_for_a_version(job: Traffic) -> None:
    data = constant_pmml(1.25)
    now = time.time_ns() // 1_000_000
    job.offer(ModelDescriptor(name="one", dataType="digest", modeltype="PMML", data=data))
    (status,) = job.await_statuses("digest", 1)
    version = hashlib.sha256(data).hexdigest()[:12]
    assert (status.name, status.version, status.previous) == ("one", version, "")
    assert status.detail.startswith("evaluator: ")
    assert (status.state, status.subtask) == (ModelStatus.ACTIVE, 0)
    assert now <= status.ts <= time.time_ns() // 1_000_000
    assert 0 < status.load_ms < 30_000


@needs_seed_data
def test_each_real_model_in_turn_gives_its_golden_value_for_every_record_in_file_order(job: Traffic) -> None:
    golden = json.loads((seed_data() / "golden.json").read_text())
    rows = [line.split(";") for line in (seed_data() / "winequality_red.csv").read_text().split()]
    assert len(rows) == 1599
    # All in one data type: each model replaces the one before.
    for turn, (name, kind, tolerance) in enumerate(SEED_MODELS):
        path = seed_data() / name
        content = {"location": f"{path}/"} if path.is_dir() else {"data": path.read_bytes()}
        status = job.serve(ModelDescriptor(name=name, dataType="wine", modeltype=kind, **content))
        job.send(*(wine(row, "wine", number) for number, row in enumerate(rows, start=1)))
        results = job.await_results("wine", 1599 * (turn + 1))[1599 * turn :]
        assert [result.submissionTs for result in results] == list(range(1, 1600)), name
        assert {(result.name, result.version) for result in results} == {(name, status.version)}
        np.testing.assert_allclose(
            [result.result for result in results], golden[name], rtol=0, atol=tolerance, err_msg=name
        )


def test_a_model_of_20_mb_serves(job: Traffic) -> None:
    job.serve(
        ModelDescriptor(
            name="large", dataType="large", modeltype="PMML", data=constant_pmml(7.5, padding=20_000_000)
        )
    )
    job.send(*sample_records("large", 3))
    assert [result.result for result in job.await_results("large", 3)] == [7.5] * 3


def test_bytes_written_by_hand_are_served(job: Traffic) -> None:
    """Field numbers and wire types alone, as a producer of another language has them; unknown fields too."""

    def field(number: int, value: bytes) -> bytes:
        length = len(value)
        size = bytearray()
        while length > 0x7F:
            size.append(length & 0x7F | 0x80)
            length >>= 7
        return bytes([number << 3 | 2, *size, length]) + value

    model = (
        field(1, b"by hand")
        + field(3, b"hand")
        + bytes([4 << 3, 2])
        + field(5, constant_pmml(3.0))
        # Field 99, which nobody knows.
        + b"\x9a\x06\x01?"
    )
    job.offer(model)
    (status,) = job.await_statuses("hand", 1)
    assert (status.state, status.name) == (ModelStatus.ACTIVE, "by hand")
    # alcohol (11, a double of 1.0), dataType (12), ts (13, 7), and an unknown field.
    job.send(
        bytes([11 << 3 | 1])
        + b"\0\0\0\0\0\0\xf0?"
        + field(12, b"hand")
        + bytes([13 << 3, 7])
        + field(14, b"?")
    )
    (result,) = job.await_results("hand", 1)
    assert (result.name, result.result, result.submissionTs) == ("by hand", 3.0, 7)


def test_many_data_types_have_their_own_models_side_by_side(job: Traffic) -> None:
    types = [f"side {number}" for number in range(20)]
    job.offer(
        *(
            ModelDescriptor(
                name=f"m{number}", dataType=data_type, modeltype="PMML", data=constant_pmml(number)
            )
            for number, data_type in enumerate(types)
        )
    )
    for data_type in types:
        job.await_statuses(data_type, 1)
    batches = [sample_records(data_type, 50) for data_type in types]
    job.send(*(batch[number] for number in range(50) for batch in batches))
    for number, data_type in enumerate(types):
        results = job.await_results(data_type, 50)
        assert [(one.name, one.result, one.submissionTs) for one in results] == [
            (f"m{number}", float(number), ts) for ts in range(1, 51)
        ]
