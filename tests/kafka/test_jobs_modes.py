"""The jobs with other flags: worker processes, two instances, no waiting, exactly once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.protos.deadletter_pb2 import DeadLetter
from model_serving.protos.winerecord_pb2 import WineRecord
from tests.faults.kills import worker_processes
from tests.job_models import SAMPLES, sample_records
from tests.job_serving import fresh_topics
from tests.job_traffic import Traffic
from tests.jobs import FlinkRun, job_flags
from tests.kafka.outage import OUTAGE_FLAGS, records_wait_for_their_model_server

pytestmark = pytest.mark.kafka

RECORDS = 600
WITHOUT_TENSORFLOW = [key for key, sample in SAMPLES.items() if not sample.kind.startswith("TENSORFLOW")]


@dataclass(frozen=True, slots=True)
class Job:
    """A running job; ``no_model`` is its flag, ``keys`` are the samples that it has to serve."""

    no_model: str
    keys: list[str]
    traffic: Traffic


@pytest.fixture(
    scope="module",
    params=[("keyed", "dead-letter", WITHOUT_TENSORFLOW), ("broadcast", "drop", list(SAMPLES))],
    ids=["keyed-dead-letter", "broadcast-drop"],
)
def job(
    request: pytest.FixtureRequest, broker: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Job]:
    """Runs each variant in worker processes, exactly once.

    Each worker process imports TensorFlow, which takes longer than all else here. One variant is enough for
    it, because engines do not know in which operator they are. What differs is where a model is swapped, and
    the other variant swaps models of the other engines.
    """
    variant, no_model, keys = request.param
    topics, folder = fresh_topics(broker, partitions=3, of_models=3), tmp_path_factory.mktemp(variant)
    flags = [
        *job_flags(broker.bootstrap_servers, topics, folder / "checkpoints", topics.models),
        *("--parallelism", "2"),
        *("--execution-mode", "process"),
        *("--no-model", no_model),
        *("--delivery", "exactly-once"),
        *("--checkpoint-interval-ms", "500"),
        *OUTAGE_FLAGS,
    ]
    with (
        FlinkRun(variant, flags, folder / "job.log") as run,
        Traffic(variant, broker.bootstrap_servers, topics, run.check) as traffic,
    ):
        yield Job(no_model, keys, traffic)
        assert worker_processes(run.mark)


def test_two_instances_serve_every_record_once(job: Job) -> None:
    traffic, keys = job.traffic, job.keys
    refused = 20 if job.no_model == "dead-letter" else 0
    orphans = sample_records("orphan", 20)
    traffic.send(*orphans)
    letters = traffic.await_letters_of("orphan", refused)
    assert sorted(one.payload for one in letters) == sorted(
        orphan.SerializeToString() for orphan in orphans[:refused]
    )
    assert {one.reason for one in letters} <= {DeadLetter.NO_MODEL}

    for key in keys:
        traffic.serve(SAMPLES[key].message(key))
    _send_in_turns(traffic, {key: sample_records(key, RECORDS) for key in keys})
    for key in keys:
        sample = SAMPLES[key]
        results = sorted(traffic.await_results(key, RECORDS), key=lambda one: one.submissionTs)
        assert [one.submissionTs for one in results] == list(range(1, RECORDS + 1))
        known = [one.result for one in results[: len(sample.expected)]]
        assert known == pytest.approx(sample.expected, abs=sample.tolerance, rel=0), key

    # ACTIVE is said when every instance has swapped: no later record gets the old version.
    swapped = {"glm": "onnx-regression", "decision-tree": "glm"}
    if "saved-model" in keys:
        swapped |= {"saved-model": "onnx-regression", "frozen-graph": "onnx-regression"}
    for key, successor in swapped.items():
        new = traffic.serve(SAMPLES[successor].message(key)).version
        traffic.send(*sample_records(key, 200, first_ts=RECORDS + 1))
        results = traffic.await_results(key, RECORDS + 200)
        assert {one.version for one in results if one.submissionTs > RECORDS} == {new}

    # What was dropped or refused does not come back with a model.
    traffic.serve(SAMPLES["glm"].message("orphan"))
    traffic.send(*sample_records("orphan", 1, first_ts=100))
    assert [one.submissionTs for one in traffic.await_results("orphan", 1)] == [100]
    assert len(traffic.letters) == refused


def test_records_wait_for_their_model_server(job: Job) -> None:
    """The timers of process mode; those of thread mode are in test_jobs_slow_loads."""
    letters = len(job.traffic.letters)
    records_wait_for_their_model_server(job.traffic, in_order=False)
    assert len(job.traffic.letters) == letters


def _send_in_turns(traffic: Traffic, records: dict[str, list[WineRecord]]) -> None:
    """Sends records in portions, so that a producer without keys uses all partitions."""
    for start in range(0, RECORDS, 100):
        for of_type in records.values():
            traffic.send(*of_type[start : start + 100])
