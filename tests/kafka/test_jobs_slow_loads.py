"""A model that loads for long holds up neither checkpoints nor other models, and no model loads for ever."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.messaging.topics import TopicNames
from model_serving.protos.deadletter_pb2 import DeadLetter
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.modelstatus_pb2 import ModelStatus
from tests.job_models import constant_model, constant_pmml, sample_records
from tests.job_serving import serving
from tests.job_traffic import Traffic
from tests.kafka.outage import OUTAGE_FLAGS, records_wait_for_their_model_server
from tests.patience import patience
from tests.slow_store import slow_store

pytestmark = pytest.mark.kafka

TIME_LIMIT_S = 15
"""How long a model may load; longer on a busy machine, which must do all that comes before in this time."""


def constant(data_type: str, value: float) -> ModelDescriptor:
    """Returns a model that answers ``value``, which is its version too."""
    return ModelDescriptor(
        name="constant",
        dataType=data_type,
        modeltype="PMML",
        version=f"v{value:g}",
        data=constant_pmml(value),
    )


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("slow") / "job.log"


@pytest.fixture(scope="module")
def limit_s() -> int:
    return round(patience(TIME_LIMIT_S))


@pytest.fixture(scope="module")
def job(broker: EmbeddedBroker, log: Path, limit_s: int) -> Iterator[Traffic]:
    """Runs the keyed job exactly once, in thread mode. Its topics do not exist before it starts."""
    topics = TopicNames().prefixed(f"n{uuid4().hex[:8]}-")
    flags = [
        *("--delivery", "exactly-once"),
        *("--checkpoint-interval-ms", "500"),
        *("--execution-mode", "thread"),
        *("--load-timeout-s", str(limit_s)),
        *OUTAGE_FLAGS,
    ]
    with serving("keyed", broker, log.parent, *flags, topics=topics) as traffic:
        yield traffic
        traffic.await_all_accounted()


def test_the_job_creates_its_topics_for_what_they_get(job: Traffic, log: Path) -> None:
    """A letter holds all of a large message."""
    bad_model = constant_model("large", 2.0, data=b"<" + b"x" * 2_000_000)
    job.offer(bad_model)
    (letter,) = job.await_letters_of("large", 1)
    assert letter.payload == bad_model.SerializeToString()
    # Nothing is said about their sizes.
    said = [line for line in log.read_text().splitlines() if "the topic '" in line]
    assert said == [f"keyed.py: the topic '{one}' did not exist and was created" for one in job.topics.all()]


def test_records_wait_for_their_model_server(job: Traffic) -> None:
    records_wait_for_their_model_server(job, in_order=True)


def test_a_slow_load_holds_up_nothing_and_one_without_end_is_rejected(job: Traffic, limit_s: int) -> None:
    """In thread mode; in process mode models load slowly while workers are killed (tests/faults)."""
    with slow_store(constant_pmml(2)) as slow, slow_store(constant_pmml(3)) as never:
        job.serve(constant("slow", 1))
        job.offer(
            ModelDescriptor(
                name="later", dataType="slow", modeltype="PMML", version="v2", location=slow.location
            ),
            ModelDescriptor(
                name="never", dataType="stuck", modeltype="PMML", version="v3", location=never.location
            ),
            constant("stuck", 4),
            # Takes back the slow model, so it has to wait for it.
            ModelDescriptor(dataType="slow", command="ROLLBACK", version="v2"),
        )
        assert slow.asked.wait(30)
        assert never.asked.wait(30)

        # Readers of committed results see these only once a checkpoint that came after them is complete.
        for turn in range(3):
            job.send(*sample_records("slow", 10, first_ts=1 + 10 * turn))
            results = job.await_results("slow", 10 * (turn + 1))
        assert {(result.version, result.result) for result in results} == {("v1", 1.0)}
        job.serve(constant("other", 5))
        job.send(*sample_records("other", 10))
        assert {result.version for result in job.await_results("other", 10)} == {"v5"}
        assert [len(job.statuses[data_type]) for data_type in ("slow", "stuck")] == [1, 0]

        slow.answer.set()
        taken, back = job.await_statuses("slow", 3)[1:]
        assert [(one.state, one.name, one.version, one.previous) for one in (taken, back)] == [
            (ModelStatus.ACTIVE, "later", "v2", "v1"),
            (ModelStatus.ACTIVE, "constant", "v1", "v2"),
        ]

        stuck, next_one = job.await_statuses("stuck", 2, within_s=limit_s + 60)
        assert (stuck.state, stuck.name, stuck.version) == (ModelStatus.REJECTED, "never", "v3")
        assert stuck.detail.startswith(f"loading took longer than {limit_s} s: ")
        assert (next_one.state, next_one.version) == (ModelStatus.ACTIVE, "v4")
        (letter,) = job.await_letters_of("stuck", 1)
        assert (letter.reason, letter.detail) == (DeadLetter.MODEL_REJECTED, stuck.detail)

        # What comes too late for its message changes nothing.
        never.answer.set()
        job.send(*sample_records("stuck", 10))
        assert {result.version for result in job.await_results("stuck", 10)} == {"v4"}
