"""The life of a data type's models in both jobs: versions, rollbacks, removal, and refused models."""

from __future__ import annotations

import time
from itertools import groupby
from math import nan
from typing import Any

import pytest

from bench.model_editions import edition
from model_serving.protos.deadletter_pb2 import DeadLetter
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.modelstatus_pb2 import ModelStatus
from tests.job_models import (
    SAMPLES,
    constant_model,
    constant_pmml,
    narrow_pmml,
    sample_records,
    table_onnx,
    wine,
)
from tests.job_traffic import Traffic
from tests.patience import require_calm
from tests.running_job.refusals import assert_refused

pytestmark = pytest.mark.kafka


def command(job: Traffic, data_type: str, name: str) -> ModelStatus:
    """Sends a command, and returns its status."""
    before = len(job.statuses[data_type])
    job.offer(ModelDescriptor(dataType=data_type, command=name))
    return job.await_statuses(data_type, before + 1)[-1]


def version_now(job: Traffic, data_type: str) -> str:
    """Returns the version that scores a record that is sent now."""
    before = len(job.results[data_type])
    job.send(*sample_records(data_type, 1))
    return job.await_results(data_type, before + 1)[-1].version


def test_three_versions_are_kept_rolled_back_to_and_removed(job: Traffic) -> None:
    for value in (1, 2, 3, 4):
        job.serve(constant_model("back", value))
    assert version_now(job, "back") == "v4"
    # Three versions are kept: the active one and two to go back to.
    for replaced, version in (("v4", "v3"), ("v3", "v2")):
        status = command(job, "back", "ROLLBACK")
        assert (status.state, status.version, status.previous) == (ModelStatus.ACTIVE, version, replaced)
        # Spark may give the data type to another process, which has to load the model.
        assert status.load_ms == 0.0 or job.variant == "spark-keyed"
        assert status.detail.startswith("rolled back; evaluator: ")
        assert version_now(job, "back") == version
    status = command(job, "back", "ROLLBACK")
    assert (status.state, "roll back" in status.detail) == (ModelStatus.REJECTED, True)
    assert version_now(job, "back") == "v2"

    status = command(job, "back", "REMOVE")
    assert (status.state, status.version, status.previous) == (ModelStatus.REMOVED, "v2", "")
    status = command(job, "back", "REMOVE")
    assert (status.state, "nothing to remove" in status.detail) == (ModelStatus.REJECTED, True)
    assert command(job, "back", "ROLLBACK").state == ModelStatus.REJECTED
    assert len(job.await_letters_of("back", 3)) == 3
    # What comes now waits for the next model; a removed version may come again.
    waiting = sample_records("back", 10, first_ts=100)
    job.send(*waiting)
    job.serve(constant_model("back", 2))
    served = [(one.submissionTs, one.version) for one in job.await_results("back", 14)[4:]]
    if job.variant.endswith("broadcast"):
        # The last records may meet the model before the first ones leave the operator in which they wait.
        served.sort()
    assert served == [(100 + number, "v2") for number in range(10)]


def test_a_rollback_needs_no_loading(job: Traffic) -> None:
    forest = job.serve(SAMPLES["random-forest"].message("warm"))
    job.serve(constant_model("warm", 2))
    start_s = time.monotonic()
    back = command(job, "warm", "ROLLBACK")
    took_ms = 1000 * (time.monotonic() - start_s)
    assert (back.state, back.version) == (ModelStatus.ACTIVE, forest.version)
    assert back.load_ms == 0.0 < forest.load_ms
    assert version_now(job, "warm") == forest.version
    print(
        f"{job.variant}: the forest was loaded in {forest.load_ms:.0f} ms, "
        f"and served {took_ms:.0f} ms after the command to go back to it"
    )


def test_the_same_version_again_is_no_second_swap(job: Traffic) -> None:
    job.serve(constant_model("again", 1))
    forest = SAMPLES["random-forest"]
    # No other data type has loaded these bytes.
    model = forest.message("again", version="v2", data=edition(forest.kind, forest.path.read_bytes(), 1))
    first, second = job.serve(model), job.serve(model)
    assert (first.version, first.previous) == ("v2", "v1")
    assert first.detail.startswith("evaluator: ")
    assert (second.version, second.previous) == ("v2", "")
    assert second.detail == f"serves already; {first.detail}"
    # Nor is it kept twice.
    assert command(job, "again", "ROLLBACK").version == "v1"
    assert command(job, "again", "ROLLBACK").state == ModelStatus.REJECTED
    job.await_letters_of("again", 1)
    require_calm()
    # Its example is scored again, but the model is not loaded again.
    assert second.load_ms < first.load_ms / 2


def test_a_version_with_other_bytes_is_refused_whether_it_serves_or_is_kept(job: Traffic) -> None:
    job.serve(constant_model("bytes", 1))
    job.serve(constant_model("bytes", 2))
    others = [constant_model("bytes", 9, version=version) for version in ("v1", "v2")]
    job.offer(*others)
    statuses = job.await_statuses("bytes", 4)[2:]
    letters = job.await_letters_of("bytes", 2)
    for other, status, letter in zip(others, statuses, letters, strict=True):
        assert (status.state, status.version) == (ModelStatus.REJECTED, other.version)
        assert f"version '{other.version}' is known with other content" in status.detail
        assert (letter.reason, letter.payload) == (DeadLetter.MODEL_REJECTED, other.SerializeToString())
    assert version_now(job, "bytes") == "v2"
    assert command(job, "bytes", "ROLLBACK").version == "v1"
    assert [result.result for result in job.results["bytes"]] == [2.0]


def test_an_older_version_that_arrives_late_serves_for_it_is_the_last_to_come(job: Traffic) -> None:
    """Versions are names: nothing says that one is older but the order of the topic."""
    for value in (1, 2):
        job.serve(constant_model("late", value))
    known = job.serve(constant_model("late", 1))
    assert (known.version, known.previous, version_now(job, "late")) == ("v1", "v2", "v1")
    never_seen = job.serve(constant_model("late", 0))
    assert (never_seen.version, never_seen.previous, version_now(job, "late")) == ("v0", "v1", "v0")
    # Each version is kept once, in the order of its last coming.
    assert [command(job, "late", "ROLLBACK").version for _ in range(2)] == ["v1", "v2"]


def test_two_models_within_a_second_serve_one_after_the_other(job: Traffic) -> None:
    job.serve(constant_model("hasty", 1))
    records = sample_records("hasty", 400)
    for record in records[:300]:
        job.stream(record)
    job.offer(constant_model("hasty", 2), constant_model("hasty", 3))
    first, second = job.await_statuses("hasty", 3)[1:]
    job.send(*records[300:])
    results = job.await_results("hasty", 400)

    assert [(one.version, one.previous) for one in (first, second)] == [("v2", "v1"), ("v3", "v2")]
    assert [result.submissionTs for result in results] == list(range(1, 401))
    served = [version for version, _ in groupby(result.version for result in results)]
    assert served == [version for version in ("v1", "v2", "v3") if version in served]
    assert {result.version for result in results[300:]} == {"v3"}
    assert [command(job, "hasty", "ROLLBACK").version for _ in range(2)] == ["v2", "v1"]


def test_a_model_for_a_data_type_that_nobody_sends_serves_nobody(job: Traffic) -> None:
    job.serve(constant_model("heard", 1))
    status = job.serve(constant_model("unheard", 5))
    assert (status.version, status.previous) == ("v5", "")
    assert version_now(job, "heard") == "v1"
    assert command(job, "unheard", "REMOVE").state == ModelStatus.REMOVED
    assert (job.results["unheard"], version_now(job, "heard")) == ([], "v1")


def unfit(data_type: str) -> dict[str, tuple[ModelDescriptor, str]]:
    """Returns, by the error in the example, a message with this example, and the text of the refusal."""
    tree = SAMPLES["decision-tree"]
    record = sample_records(data_type, 1)[0].SerializeToString()

    def example(**values: Any) -> list[ModelDescriptor.Example]:
        return [ModelDescriptor.Example(**{"record": record, "expected": 1.0, **values})]

    def raw(content: bytes, **fields: object) -> ModelDescriptor:
        return constant_model(data_type, 9, data=content, **fields)

    strong = wine([11] * 11, data_type, 1).SerializeToString()
    return {
        "another value": (raw(constant_pmml(9), examples=example()), "gives 9, expected 1"),
        "off its tolerance": (
            raw(constant_pmml(9), examples=example(expected=9.1, tolerance=0.05)),
            "gives 9, expected 9.1 within 0.05",
        ),
        "another class": (
            tree.message(data_type, examples=example(expected=tree.expected[0] + 1)),
            f"gives {tree.expected[0]:g}, expected {tree.expected[0] + 1:g}",
        ),
        "NaN instead of a result": (
            raw(narrow_pmml(9), examples=example(record=strong, expected=9, tolerance=1e300)),
            "gives nan, expected 9",
        ),
        "a result instead of NaN": (
            raw(constant_pmml(9), examples=example(expected=nan)),
            "gives 9, expected nan",
        ),
        "an error": (
            raw(table_onnx(0, [3, 4]), modeltype="ONNX", examples=example(record=strong, expected=3)),
            "example 1 of 1 cannot be scored: ONNX Runtime failed",
        ),
        "an error for zeros": (
            raw(table_onnx(11, [3, 4]), modeltype="ONNX"),
            "the model fails on a first record: ONNX Runtime failed",
        ),
        "no record": (raw(constant_pmml(9), examples=example(record=b"\xff")), "example 1 of 1"),
        "the second one": (
            raw(constant_pmml(9), examples=[*example(expected=9), *example(expected=8)]),
            "example 2 of 2 gives 9, expected 8",
        ),
    }


def test_a_model_that_does_not_pass_its_examples_is_refused_and_the_old_one_goes_on(job: Traffic) -> None:
    assert_refused(job, "unfit", unfit("unfit"))


def test_examples_that_hold_let_a_model_in(job: Traffic) -> None:
    sample = SAMPLES["saved-model"]
    examples = [
        ModelDescriptor.Example(
            record=record.SerializeToString(), expected=expected, tolerance=sample.tolerance
        )
        for record, expected in zip(sample_records("examples", 5), sample.expected, strict=True)
    ]
    assert job.serve(sample.message("examples", examples=examples)).name == "saved-model"
