"""Models that fail while they serve are taken back; records that lack a value cost themselves only."""

from __future__ import annotations

import math

import pytest

from model_serving.protos.deadletter_pb2 import DeadLetter
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.modelstatus_pb2 import ModelStatus
from model_serving.protos.winerecord_pb2 import WineRecord
from tests.job_models import constant_pmml, narrow_pmml
from tests.job_traffic import Traffic

pytestmark = pytest.mark.kafka


def model(data_type: str, version: str, content: bytes) -> ModelDescriptor:
    return ModelDescriptor(name="m", dataType=data_type, modeltype="PMML", version=version, data=content)


def wine(data_type: str, **values: float) -> WineRecord:
    return WineRecord(dataType=data_type, ts=1, **values)


def test_a_model_that_starts_to_fail_makes_room_for_the_one_before(job: Traffic) -> None:
    job.serve(model("taken back", "v1", constant_pmml(1)))
    job.serve(model("taken back", "v2", narrow_pmml(2)))
    job.send(wine("taken back", alcohol=9), *[wine("taken back", alcohol=11)] * 5)
    *_, status = job.await_statuses("taken back", 3)
    # The job's own message counts as one that was sent.
    job.sent[job.topics.models] += 1
    job.send(wine("taken back", alcohol=12))
    results = job.await_results("taken back", 2)
    letters = job.await_letters_of("taken back", 5)

    assert (status.state, status.version, status.previous) == (ModelStatus.ACTIVE, "v1", "v2")
    said = (
        "the model gives no result for this record: the field 'alcohol' has the value 11, which the model "
        "declares invalid (invalidValueTreatment returnInvalid)"
    )
    assert status.detail.startswith(f"rolled back: 5 failures in a row ({said}); evaluator: ")
    assert [(result.version, result.result) for result in results] == [("v2", 2.0), ("v1", 1.0)]
    assert {(letter.reason, letter.version, letter.detail) for letter in letters} == {
        (DeadLetter.SCORING_FAILED, "v2", said)
    }


def test_a_record_that_lacks_a_value_which_its_model_takes_is_rejected(job: Traffic) -> None:
    job.serve(model("lacking", "v1", constant_pmml(1)))
    lacking = [wine("lacking", alcohol=value) for value in (math.nan, math.inf, -math.inf)]
    # The model takes nothing but alcohol.
    fine = [wine("lacking", alcohol=9), wine("lacking", alcohol=9, pH=math.nan)]
    job.send(fine[0], *lacking, fine[1])
    results = job.await_results("lacking", 2)
    letters = job.await_letters_of("lacking", 3)

    assert [result.result for result in results] == [1.0, 1.0]
    assert [letter.payload for letter in letters] == [record.SerializeToString() for record in lacking]
    assert [(letter.reason, letter.detail) for letter in letters] == [
        (
            DeadLetter.INVALID_RECORD,
            (
                f"its field alcohol has no finite value ({value}): send one, or start the job with "
                "--missing pass"
            ),
        )
        for value in ("nan", "inf", "-inf")
    ]
