"""Both jobs swap and refuse models while records flow, and lose or double none of them."""

from __future__ import annotations

import os
from itertools import groupby
from typing import Any

import pytest

from model_serving.protos.deadletter_pb2 import DeadLetter
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.modelstatus_pb2 import ModelStatus
from tests.job_models import SAMPLES, constant_model, constant_pmml, sample_records
from tests.job_traffic import Traffic
from tests.running_job.refusals import assert_refused

pytestmark = pytest.mark.kafka


def test_a_swap_in_mid_stream_takes_over_at_one_point(job: Traffic) -> None:
    job.serve(constant_model("swap", 1))
    records = sample_records("swap", 3000)
    job.send(*records[:500])
    job.await_results("swap", 500)
    for record in records[500:1000]:
        job.stream(record)
    job.offer(constant_model("swap", 2))
    for record in records[1000:2000]:
        job.stream(record)
    statuses = job.await_statuses("swap", 2)
    job.send(*records[2000:])
    results = job.await_results("swap", 3000)

    assert [(one.version, one.previous, one.state) for one in statuses] == [
        ("v1", "", ModelStatus.ACTIVE),
        ("v2", "v1", ModelStatus.ACTIVE),
    ]
    assert [result.submissionTs for result in results] == list(range(1, 3001))
    assert [version for version, _ in groupby(result.version for result in results)] == ["v1", "v2"]
    assert {(result.version, result.result) for result in results} == {("v1", 1.0), ("v2", 2.0)}
    # After a client has read ACTIVE, the new version scores every record that it sends.
    assert {result.version for result in results[2000:]} == {"v2"}
    assert [letter for letter in job.letters if letter.dataType == "swap"] == []


def bad_models(data_type: str) -> dict[str, tuple[ModelDescriptor, str]]:
    """Returns, by the name of the error, a message that must be refused, and the text of the refusal."""
    tree = SAMPLES["decision-tree"]
    saved = SAMPLES["saved-model"]

    def raw(**fields: Any) -> ModelDescriptor:
        return ModelDescriptor(name="bad", dataType=data_type, **fields)

    unknown = ModelDescriptor.FromString(raw(data=b"x").SerializeToString() + bytes([4 << 3, 77]))
    unknown_command = ModelDescriptor.FromString(raw(data=b"x").SerializeToString() + bytes([9 << 3, 9]))
    return {
        "no content": (raw(modeltype="PMML"), "neither data nor a location"),
        "empty data": (raw(modeltype="PMML", data=b""), "empty"),
        "junk as PMML": (raw(modeltype="PMML", data=os.urandom(2000)), ""),
        "junk as a graph": (raw(modeltype="TENSORFLOW", data=os.urandom(2000)), ""),
        "junk as a SavedModel": (raw(modeltype="TENSORFLOWSAVED", data=os.urandom(2000)), ""),
        "junk as ONNX": (raw(modeltype="ONNX", data=os.urandom(2000)), ""),
        "half a PMML": (raw(modeltype="PMML", data=tree.path.read_bytes()[:9000]), ""),
        "PMML as ONNX": (raw(modeltype="ONNX", data=tree.path.read_bytes()), ""),
        "PMML as a graph": (raw(modeltype="TENSORFLOW", data=tree.path.read_bytes()), ""),
        "a graph as PMML": (raw(modeltype="PMML", data=SAMPLES["frozen-graph"].path.read_bytes()), ""),
        "a location with nothing": (
            raw(modeltype="TENSORFLOWSAVED", location="/nowhere/at/all"),
            "/nowhere/at/all",
        ),
        "a location of no scheme": (raw(modeltype="PMML", location="never://x"), "never"),
        "an empty location": (raw(modeltype="PMML", location=""), ""),
        "wrong sha256": (constant_model(data_type, 9, sha256="0" * 64), "SHA-256"),
        "wrong sha256 by location": (saved.message(data_type, sha256="0" * 64), "SHA-256"),
        "a field that no record has": (
            constant_model(data_type, 9, data=constant_pmml(9, field="tannin")),
            "'tannin'",
        ),
        "inputs that no record has": (
            SAMPLES["frozen-graph"].message(data_type, inputs=["tannin"] * 11),
            "'tannin'",
        ),
        "too few inputs": (SAMPLES["frozen-graph"].message(data_type, inputs=["alcohol"]), ""),
        "an unknown model type": (unknown, "modeltype 77"),
        "an unknown command": (unknown_command, "command 9"),
    }


def test_what_is_no_good_is_refused_and_the_old_model_goes_on(job: Traffic) -> None:
    assert_refused(job, "refuse", bad_models("refuse"))


def test_records_wait_for_their_model_in_order_as_many_as_fit(job: Traffic) -> None:
    records = sample_records("wait", 10_300)
    job.send(*records)
    letters = job.await_letters_of("wait", 300)
    assert {(one.reason, one.topic) for one in letters} == {(DeadLetter.NO_MODEL, job.topics.data)}
    assert [one.payload for one in letters] == [record.SerializeToString() for record in records[10_000:]]
    assert job.results["wait"] == []
    job.serve(constant_model("wait", 5))
    later = 20_000
    job.send(*sample_records("wait", 1, first_ts=later))
    results = job.await_results("wait", 10_001)
    order = [result.submissionTs for result in results]
    assert [ts for ts in order if ts != later] == list(range(1, 10_001))
    if job.variant == "keyed":
        # In the broadcast job those that wait are scored beside those that come.
        assert order[-1] == later
    assert {result.result for result in results} == {5.0}
