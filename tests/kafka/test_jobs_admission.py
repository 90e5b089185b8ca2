"""Both jobs swap, refuse, roll back and remove models while records flow, and lose or double none of them."""

from __future__ import annotations

import os
from itertools import groupby
from typing import Any

import pytest

from protos.deadletter_pb2 import DeadLetter
from protos.modeldescriptor_pb2 import ModelDescriptor
from protos.modelstatus_pb2 import ModelStatus
from tests.job_models import SAMPLES, constant_pmml, sample_records
from tests.job_traffic import Traffic

pytestmark = pytest.mark.kafka


def constant(data_type: str, value: float, **more: Any) -> ModelDescriptor:
    """A model that answers ``value``, which is its version too."""
    fields: dict[str, Any] = {
        "name": "constant",
        "dataType": data_type,
        "modeltype": "PMML",
        "version": f"v{value:g}",
        "data": constant_pmml(value),
    }
    return ModelDescriptor(**{**fields, **more})


def test_a_swap_in_mid_stream_takes_over_at_one_point(job: Traffic) -> None:
    job.serve(constant("swap", 1))
    records = sample_records("swap", 3000)
    job.send(*records[:500])
    job.await_results("swap", 500)
    for record in records[500:1000]:
        job.stream(record)
    job.offer(constant("swap", 2))
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
    # Who has read ACTIVE gets the new version for every record that is sent afterwards.
    assert {result.version for result in results[2000:]} == {"v2"}
    assert [letter for letter in job.letters if letter.dataType == "swap"] == []


def bad_models(data_type: str) -> dict[str, tuple[ModelDescriptor, str]]:
    """What is wrong → a model message that must be refused, and what the refusal has to say."""
    tree = SAMPLES["decision-tree"]
    saved = SAMPLES["saved-model"]
    record = sample_records(data_type, 1)[0].SerializeToString()

    def example(**values: Any) -> list[ModelDescriptor.Example]:
        return [ModelDescriptor.Example(**{"record": record, "expected": 1.0, **values})]

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
        "wrong sha256": (constant(data_type, 9, sha256="0" * 64), "SHA-256"),
        "wrong sha256 by location": (saved.message(data_type, sha256="0" * 64), "SHA-256"),
        "a field that no record has": (
            constant(data_type, 9, data=constant_pmml(9, field="tannin")),
            "'tannin'",
        ),
        "inputs that no record has": (
            SAMPLES["frozen-graph"].message(data_type, inputs=["tannin"] * 11),
            "'tannin'",
        ),
        "too few inputs": (SAMPLES["frozen-graph"].message(data_type, inputs=["alcohol"]), ""),
        "an example that fails": (constant(data_type, 9, examples=example()), "expected 1"),
        "an example off its tolerance": (
            constant(data_type, 9, examples=example(expected=9.1, tolerance=0.05)),
            "expected 9.1",
        ),
        "an example that is no record": (
            constant(data_type, 9, examples=example(record=b"\xff")),
            "example 1 of 1",
        ),
        "an example that expects NaN": (
            constant(data_type, 9, examples=example(expected=float("nan"))),
            "nan",
        ),
        "an unknown model type": (unknown, "modeltype 77"),
        "an unknown command": (unknown_command, "command 9"),
        "a known version with other content": (constant(data_type, 9, version="v1"), "v1"),
    }


def test_what_is_no_good_is_refused_and_the_old_model_goes_on(job: Traffic) -> None:
    job.serve(constant("refuse", 1))
    bad = bad_models("refuse")
    records = iter(sample_records("refuse", 2 * len(bad)))
    for message, _ in bad.values():
        job.send(next(records))
        job.offer(message)
        job.send(next(records))
    statuses = job.await_statuses("refuse", 1 + len(bad), within_s=120)[1:]
    letters = job.await_letters_of("refuse", len(bad))
    results = job.await_results("refuse", 2 * len(bad))

    assert [(result.version, result.result) for result in results] == [("v1", 1.0)] * 2 * len(bad)
    assert [result.submissionTs for result in results] == list(range(1, 2 * len(bad) + 1))
    for (what, (message, says)), status, letter in zip(bad.items(), statuses, letters, strict=True):
        assert (what, status.state) == (what, ModelStatus.REJECTED)
        assert (what, letter.payload) == (what, message.SerializeToString())
        assert (letter.reason, letter.topic, letter.dataType, letter.model, letter.version) == (
            DeadLetter.MODEL_REJECTED,
            job.topics.models,
            "refuse",
            message.name,
            message.version,
        )
        assert (status.detail, status.name, status.version) == (letter.detail, message.name, message.version)
        assert says in letter.detail, (what, letter.detail)
        assert letter.detail, what
        assert "\n" not in letter.detail, what
        assert len(letter.detail) < 600, (what, letter.detail)


def test_examples_that_hold_let_a_model_in(job: Traffic) -> None:
    sample = SAMPLES["saved-model"]
    examples = [
        ModelDescriptor.Example(
            record=record.SerializeToString(), expected=expected, tolerance=sample.tolerance
        )
        for record, expected in zip(sample_records("examples", 5), sample.expected, strict=True)
    ]
    assert job.serve(sample.message("examples", examples=examples)).name == "saved-model"


def test_rollback_and_remove(job: Traffic) -> None:
    def result_now() -> str:
        before = len(job.results["back"])
        job.send(*sample_records("back", 1))
        return job.await_results("back", before + 1)[-1].version

    def command(name: str) -> ModelStatus:
        before = len(job.statuses["back"])
        job.offer(ModelDescriptor(dataType="back", command=name))
        return job.await_statuses("back", before + 1)[-1]

    for value in (1, 2, 3, 4):
        job.serve(constant("back", value))
    assert result_now() == "v4"
    # Three versions are kept: the active one and two to go back to.
    for replaced, version in (("v4", "v3"), ("v3", "v2")):
        status = command("ROLLBACK")
        assert (status.state, status.version, status.previous) == (ModelStatus.ACTIVE, version, replaced)
        assert result_now() == version
    status = command("ROLLBACK")
    assert (status.state, "roll back" in status.detail) == (ModelStatus.REJECTED, True)
    assert result_now() == "v2"

    status = command("REMOVE")
    assert (status.state, status.version, status.previous) == (ModelStatus.REMOVED, "v2", "")
    status = command("REMOVE")
    assert (status.state, "nothing to remove" in status.detail) == (ModelStatus.REJECTED, True)
    assert (command("ROLLBACK").state, len(job.await_letters_of("back", 3))) == (ModelStatus.REJECTED, 3)
    # What comes now waits for the next model; a removed version may come again.
    waiting = sample_records("back", 10, first_ts=100)
    job.send(*waiting)
    job.serve(constant("back", 2))
    served = [(one.submissionTs, one.version) for one in job.await_results("back", 14)[4:]]
    if job.variant == "broadcast":
        # The last records may meet the model before the first ones leave the operator in which they wait.
        served.sort()
    assert served == [(100 + number, "v2") for number in range(10)]


def test_the_same_model_again_serves_on(job: Traffic) -> None:
    first, second = job.serve(constant("again", 1)), job.serve(constant("again", 1))
    assert (first.version, second.version, second.previous) == ("v1", "v1", "")
    assert second.detail == "serves already"


def test_records_wait_for_their_model_in_order_as_many_as_fit(job: Traffic) -> None:
    records = sample_records("wait", 10_300)
    job.send(*records)
    letters = job.await_letters_of("wait", 300)
    assert {(one.reason, one.topic) for one in letters} == {(DeadLetter.NO_MODEL, job.topics.data)}
    assert [one.payload for one in letters] == [record.SerializeToString() for record in records[10_000:]]
    assert job.results["wait"] == []
    job.serve(constant("wait", 5))
    later = 20_000
    job.send(*sample_records("wait", 1, first_ts=later))
    results = job.await_results("wait", 10_001)
    order = [result.submissionTs for result in results]
    assert [ts for ts in order if ts != later] == list(range(1, 10_001))
    if job.variant == "keyed":
        # In the broadcast job those that wait are scored beside those that come.
        assert order[-1] == later
    assert {result.result for result in results} == {5.0}
