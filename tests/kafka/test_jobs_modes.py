"""The jobs with other flags: both execution modes, two instances, no waiting, exactly once."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.protos.deadletter_pb2 import DeadLetter
from model_serving.protos.winerecord_pb2 import WineRecord
from tests.job_models import SAMPLES, sample_records
from tests.job_serving import fresh_topics, serving
from tests.job_traffic import Traffic

pytestmark = pytest.mark.kafka

RECORDS = 600
WITHOUT_TENSORFLOW = [key for key, sample in SAMPLES.items() if not sample.kind.startswith("TENSORFLOW")]


@pytest.mark.parametrize(
    ("variant", "no_model", "keys"),
    [("keyed", "dead-letter", WITHOUT_TENSORFLOW), ("broadcast", "drop", list(SAMPLES))],
    ids=["keyed-dead-letter", "broadcast-drop"],
)
def test_two_instances_serve_every_record_once(
    broker: EmbeddedBroker, tmp_path: Path, variant: str, no_model: str, keys: list[str]
) -> None:
    """In worker processes, exactly once.

    Each worker process imports TensorFlow, which takes longer than all else here. One variant is enough for
    it, because engines do not know in which operator they are. What differs is where a model is swapped, and
    the other variant swaps models of the other engines.
    """
    flags = [
        *("--parallelism", "2"),
        *("--execution-mode", "process"),
        *("--no-model", no_model),
        *("--delivery", "exactly-once"),
        *("--checkpoint-interval-ms", "500"),
    ]
    topics = fresh_topics(broker, partitions=3)
    with serving(variant, broker, tmp_path, *flags, topics=topics) as job:
        refused = 20 if no_model == "dead-letter" else 0
        orphans = sample_records("orphan", 20)
        job.send(*orphans)
        letters = job.await_letters_of("orphan", refused)
        assert sorted(one.payload for one in letters) == sorted(
            orphan.SerializeToString() for orphan in orphans[:refused]
        )
        assert {one.reason for one in letters} <= {DeadLetter.NO_MODEL}

        for key in keys:
            job.serve(SAMPLES[key].message(key))
        _send_in_turns(job, {key: sample_records(key, RECORDS) for key in keys})
        for key in keys:
            sample = SAMPLES[key]
            results = sorted(job.await_results(key, RECORDS), key=lambda one: one.submissionTs)
            assert [one.submissionTs for one in results] == list(range(1, RECORDS + 1))
            known = [one.result for one in results[: len(sample.expected)]]
            assert known == pytest.approx(sample.expected, abs=sample.tolerance, rel=0), key

        # ACTIVE is said when every instance has swapped: no later record gets the old version.
        swapped = {"glm": "onnx-regression", "decision-tree": "glm"}
        if "saved-model" in keys:
            swapped |= {"saved-model": "onnx-regression", "frozen-graph": "onnx-regression"}
        for key, successor in swapped.items():
            new = job.serve(SAMPLES[successor].message(key)).version
            job.send(*sample_records(key, 200, first_ts=RECORDS + 1))
            results = job.await_results(key, RECORDS + 200)
            assert {one.version for one in results if one.submissionTs > RECORDS} == {new}

        # What was dropped or refused does not come back with a model.
        job.serve(SAMPLES["glm"].message("orphan"))
        job.send(*sample_records("orphan", 1, first_ts=100))
        assert [one.submissionTs for one in job.await_results("orphan", 1)] == [100]
        assert len(job.letters) == refused


def _send_in_turns(job: Traffic, records: dict[str, list[WineRecord]]) -> None:
    """Sends records in portions, so that a producer without keys uses all partitions."""
    for start in range(0, RECORDS, 100):
        for of_type in records.values():
            job.send(*of_type[start : start + 100])
